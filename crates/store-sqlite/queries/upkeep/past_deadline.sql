-- ?1 now, ?2 most rows
select j.id
from jobs as j
join batches as b on b.id = j.batch
where j.deadline is not null and j.deadline <= ?1 and j.state in ('blocked', 'queued', 'scheduled')
    and b.state <> 'loading'
order by j.deadline
limit ?2
