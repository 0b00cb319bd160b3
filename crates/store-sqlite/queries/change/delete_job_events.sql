delete from events where job in (select value from json_each(?1))
