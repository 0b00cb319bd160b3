-- $1 ids of jobs, $2 their epochs
update jobs set dispatched_at = null
from unnest($1::uuid[], $2::integer[]) as c (job, epoch)
where jobs.id = c.job and jobs.epoch = c.epoch and jobs.state = 'queued' and jobs.dispatched_at is not null
