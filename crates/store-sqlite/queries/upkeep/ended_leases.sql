-- ?1 now, ?2 boots that are dead, ?3 most rows; a run may go on for a while after its timeout, for its worker to end it
select job, boot, expires_at > ?1 as unexpired, boot in (select value from json_each(?2)) as dead
from leases
where expires_at <= ?1 or timeout_at + 60000000 <= ?1 or boot in (select value from json_each(?2))
order by expires_at
limit ?3
