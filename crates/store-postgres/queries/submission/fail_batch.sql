-- $1 batch: nothing of it runs any more, and its rows go
update batches set
    state = 'failed', ended_at = coalesce(ended_at, now_us()), total = 0, succeeded = 0, failed = 0, canceled = 0, expired = 0
where id = $1
