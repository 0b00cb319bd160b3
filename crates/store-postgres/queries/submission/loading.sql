-- $1 batch, $2 tenant
select id, tenant, state, load_offset, rows_new, rows_duplicate, rows_invalid, meta
from batches
where id = $1 and tenant = $2
for no key update
