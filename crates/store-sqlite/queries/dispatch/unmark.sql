-- ?1 jobs and epochs
update jobs set dispatched_at = null
from json_each(?1) as c
where jobs.id = c.value ->> 'job' and jobs.epoch = c.value ->> 'epoch' and jobs.state = 'queued'
    and jobs.dispatched_at is not null
