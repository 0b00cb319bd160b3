select job, epoch, tenant, batch
from attempts
where outcome <> 'succeeded' and not swept
order by ended_at
limit $1
