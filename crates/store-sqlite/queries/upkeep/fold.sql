-- ?1 batches with their counts and state, ?2 now
update batches set
    total = c.value ->> 'total', succeeded = c.value ->> 'succeeded', failed = c.value ->> 'failed',
    canceled = c.value ->> 'canceled', expired = c.value ->> 'expired',
    state = c.value ->> 'state',
    ended_at = case when c.value ->> 'over' then ?2 else ended_at end
from json_each(?1) as c
where batches.id = c.value ->> 'batch'
