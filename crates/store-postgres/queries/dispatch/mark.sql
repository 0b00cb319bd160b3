-- $1 ids of jobs
update jobs set dispatched_at = now_us()
where id in (
    select id from jobs
    where id = any($1) and state = 'queued' and dispatched_at is null
    order by id
    for no key update
)
returning id
