-- ?1 ids of jobs
delete from dependencies where job in (select value from json_each(?1))
