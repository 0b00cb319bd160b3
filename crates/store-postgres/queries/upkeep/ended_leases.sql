-- $1 boots that are dead, $2 most rows; a run may go on for a while after its timeout, for its worker to end it
select job as id, boot, expires_at > now_us() as unexpired, boot = any($1) as dead
from leases
where expires_at <= now_us() or timeout_at + 60000000 <= now_us() or boot = any($1)
order by expires_at
limit $2
