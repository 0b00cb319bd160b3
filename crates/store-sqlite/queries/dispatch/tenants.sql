-- ?1 pool, ?2 band
select o.tenant, coalesce(t.weight, 1) as weight, coalesce(s.deficit, 0) as deficit
from (
    select distinct tenant from batches where band = ?2 and state = 'open' and paused = 0 and cancel_requested = 0
) as o
left join tenants as t on t.id = o.tenant
left join shares as s on s.pool = ?1 and s.band = ?2 and s.tenant = o.tenant
order by o.tenant
