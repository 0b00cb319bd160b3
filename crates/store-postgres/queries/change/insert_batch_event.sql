insert into events (tenant, batch, event, epoch, state, at)
select tenant, id, $2, generation, state, now_us() from batches where id = $1
