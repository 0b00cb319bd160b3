-- ?1 after, ?2 most rows, ?3 tenant
select id, tenant, batch, job, event, epoch, state, at
from events
where id > ?1 and tenant = ?3
order by id
limit ?2
