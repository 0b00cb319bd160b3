-- ?1 batch, ?2 now: nothing of it runs any more, and its rows go
update batches set
    state = 'failed', ended_at = coalesce(ended_at, ?2), total = 0, succeeded = 0, failed = 0, canceled = 0, expired = 0
where id = ?1
