-- Tenants with a limit: it, and how many of their jobs run or have a ticket, in every pool
select
    t.id as tenant, t.max_running,
    (select count(*) from leases as l where l.tenant = t.id)
        + (
            select count(*) from jobs as j
            where j.state = 'queued' and j.dispatched_at is not null and j.tenant = t.id
        ) as jobs
from tenants as t
where t.max_running is not null
