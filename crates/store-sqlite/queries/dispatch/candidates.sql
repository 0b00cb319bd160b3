-- ?1 pool, ?2 band, ?3 tenant, ?4 now, ?5 most rows
select j.id, j.epoch, j.shape, j.cost_ms
from batches as b
cross join jobs as j
where b.band = ?2 and b.tenant = ?3 and b.state = 'open' and b.paused = 0 and b.cancel_requested = 0
    and j.batch = b.id and j.pool = ?1 and j.state = 'queued' and j.dispatched_at is null
    and (j.deadline is null or j.deadline > ?4)
order by b.id, j.id
limit ?5
