-- ?1 changes, ?2 now
insert into events (tenant, batch, job, event, epoch, state, at)
select
    c.value ->> 'tenant', c.value ->> 'batch', c.value ->> 'job', c.value ->> 'event', c.value ->> 'epoch',
    c.value ->> 'state', ?2
from json_each(?1) as c
order by c.key
