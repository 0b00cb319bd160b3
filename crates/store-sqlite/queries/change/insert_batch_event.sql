insert into events (tenant, batch, event, epoch, state, at)
select tenant, id, ?2, generation, state, ?3 from batches where id = ?1
