delete from attempts where job in (select value from json_each(?1))
