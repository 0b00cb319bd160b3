-- ?1 now, ?2 most rows
select j.id
from jobs as j
join batches as b on b.id = j.batch
where j.state = 'scheduled' and j.run_at <= ?1 and b.state <> 'loading'
order by j.run_at
limit ?2
