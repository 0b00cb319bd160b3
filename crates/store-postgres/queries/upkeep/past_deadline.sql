-- $1 most rows
select j.id
from jobs as j
where j.deadline is not null and j.deadline <= now_us() and j.state in ('blocked', 'queued', 'scheduled')
    and (select b.state from batches as b where b.id = j.batch) <> 'loading'
order by j.deadline
limit $1
for no key update skip locked
