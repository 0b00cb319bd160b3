-- $1 batch, $2 tenant
select state from batches where id = $1 and tenant = $2 for no key update
