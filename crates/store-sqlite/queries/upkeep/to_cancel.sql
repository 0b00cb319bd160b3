-- ?1 most rows. Each part has a partial index
select j.id
from batches as b
join jobs as j on j.batch = b.id
where b.state = 'open' and b.cancel_requested = 1 and j.state = 'queued' and j.dispatched_at is null
union all
select j.id
from batches as b
join jobs as j on j.batch = b.id
where b.state = 'open' and b.cancel_requested = 1 and j.state = 'queued' and j.dispatched_at is not null
union all
select j.id
from batches as b
join jobs as j on j.batch = b.id
where b.state = 'open' and b.cancel_requested = 1 and j.state in ('blocked', 'scheduled')
limit ?1
