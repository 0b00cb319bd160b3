-- $1 most rows, $2 this batch alone (or null)
select j.id
from batches as b
join jobs as j on j.batch = b.id
where b.state = 'open' and b.cancel_requested and b.id = coalesce($2, b.id)
    and j.state in ('blocked', 'queued', 'scheduled')
limit $1
