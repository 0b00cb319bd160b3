-- ?1 changes of counts
insert into batch_deltas (batch, total, succeeded, failed, canceled, expired)
select
    c.value ->> 'batch', c.value ->> 'total', c.value ->> 'succeeded', c.value ->> 'failed', c.value ->> 'canceled',
    c.value ->> 'expired'
from json_each(?1) as c
