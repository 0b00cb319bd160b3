-- $1 ids of jobs
delete from dependencies where job = any($1)
