-- ?1 after, ?2 most rows
select id, tenant, batch, job, event, epoch, state, at from events where id > ?1 order by id limit ?2
