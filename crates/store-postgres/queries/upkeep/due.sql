-- $1 most rows
select j.id
from jobs as j
where j.state = 'scheduled' and j.run_at <= now_us()
    and (select b.state from batches as b where b.id = j.batch) <> 'loading'
order by j.run_at
limit $1
for no key update skip locked
