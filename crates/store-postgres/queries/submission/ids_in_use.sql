-- $1 ids of jobs, whosever they are
select id from jobs where id = any($1)
