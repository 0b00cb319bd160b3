-- ?1 after, ?2 most rows, ?3 tenant, ?4 batch
select id, tenant, batch, job, event, epoch, state, at
from events
where batch = ?4 and id > ?1 and tenant = ?3
order by id
limit ?2
