update jobs set dispatched_at = null where batch = $1 and state = 'queued' and dispatched_at is not null
