-- $1 boots that are dead, $2 jobs, locked before
select job as id, boot, expires_at > now_us() as unexpired, boot = any($1) as dead
from leases
where job = any($2) and (expires_at <= now_us() or timeout_at + 60000000 <= now_us() or boot = any($1))
order by job
for update
