-- ?1 batch, ?2 tenant
select state, cancel_requested from batches where id = ?1 and tenant = ?2
