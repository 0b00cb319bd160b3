select xid::text::bigint as transaction, id, tenant, batch, job, event, epoch, state, at
from events
where tenant = $1 and job = $2
order by id
