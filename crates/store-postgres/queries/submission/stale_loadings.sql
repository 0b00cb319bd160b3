-- $1 untouched for this long
select id, tenant, state, load_offset, rows_new, rows_duplicate, rows_invalid, meta
from batches
where state = 'loading' and touched_at <= now_us() - $1
order by touched_at
limit 1000
