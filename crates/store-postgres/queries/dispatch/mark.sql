-- $1 ids of jobs
update jobs set dispatched_at = now_us()
where id = any($1) and state = 'queued' and dispatched_at is null
returning id
