-- ?1 ids of jobs, ?2 now
update jobs set dispatched_at = ?2
where id in (select value from json_each(?1)) and state = 'queued' and dispatched_at is null
