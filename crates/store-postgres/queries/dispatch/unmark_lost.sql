-- $1 pool, $2 band, $3 dispatched before
update jobs set dispatched_at = null
from batches as b
where b.id = jobs.batch and jobs.pool = $1 and b.band = $2 and jobs.state = 'queued'
    and jobs.dispatched_at is not null and jobs.dispatched_at < $3
