-- $1 ids of jobs. In one order for everybody; what was waited for is read by the next statement
select id from jobs where id = any($1) order by id for no key update
