-- ?1 runs, ?2 boot, ?3 now, ?4 end of the lease
insert into leases (job, epoch, tenant, batch, boot, alone, started_at, expires_at, timeout_at)
select
    c.value ->> 'job', c.value ->> 'epoch', c.value ->> 'tenant', c.value ->> 'batch', ?2, c.value ->> 'alone', ?3, ?4,
    ?3 + (c.value ->> 'timeout')
from json_each(?1) as c
