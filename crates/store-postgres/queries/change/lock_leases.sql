-- $1 ids of jobs, locked before: no beat renews their leases now
select job from leases where job = any($1) order by job for update
