-- $1 tenants: how many of their jobs run or have a ticket, in every pool
select tenant, count(*) as jobs
from (
    select tenant from leases where tenant = any($1)
    union all
    select tenant from jobs where state = 'queued' and dispatched_at is not null and tenant = any($1)
) as used
group by tenant
