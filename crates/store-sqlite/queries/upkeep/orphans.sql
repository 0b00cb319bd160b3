select job, epoch, tenant, batch
from attempts
where outcome <> 'succeeded' and swept = 0
order by ended_at
limit ?1
