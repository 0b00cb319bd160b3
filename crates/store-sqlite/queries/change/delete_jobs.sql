delete from jobs where id in (select value from json_each(?1))
