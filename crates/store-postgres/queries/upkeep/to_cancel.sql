-- $1 most rows. Each part of the union has a partial index
select j.id
from batches as b
cross join lateral (
    select id from jobs where batch = b.id and state = 'queued' and dispatched_at is null
    union all
    select id from jobs where batch = b.id and state = 'queued' and dispatched_at is not null
    union all
    select id from jobs where batch = b.id and state in ('blocked', 'scheduled')
    limit $1
) as j
where b.state = 'open' and b.cancel_requested
limit $1
