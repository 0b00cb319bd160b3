-- ?1 changes, ?2 now
insert into attempts (
    job, epoch, tenant, batch, boot, started_at, ended_at, outcome, charged, error_code, error_message,
    device_ms, forwards, load_ms
)
select
    l.job, l.epoch, l.tenant, l.batch, l.boot, l.started_at, ?2, c.value ->> '$.attempt.outcome',
    c.value ->> '$.attempt.charged', c.value ->> '$.attempt.error_code', c.value ->> '$.attempt.error_message',
    c.value ->> '$.attempt.device_ms', c.value ->> '$.attempt.forwards', c.value ->> '$.attempt.load_ms'
from json_each(?1) as c
join leases as l on l.job = c.value ->> 'job'
where c.value ->> '$.attempt.outcome' is not null
