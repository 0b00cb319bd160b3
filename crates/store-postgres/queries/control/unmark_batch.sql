update jobs set dispatched_at = null
where id in (
    select id from jobs
    where batch = $1 and state = 'queued' and dispatched_at is not null
    order by id
    for no key update
)
