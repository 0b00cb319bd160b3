-- ?1 jobs, ?2 batch, ?3 tenant, ?4 now
insert into jobs (
    id, batch, tenant, key, kind, version, payload, inputs, pool, shape, cost_ms, run_at, deadline, timeout_ms,
    max_attempts, backoff_base_ms, backoff_cap_ms, born, state, created_at
)
select
    c.value ->> 'id', ?2, ?3, c.value ->> 'key', c.value ->> 'kind', c.value ->> 'version', c.value -> 'payload',
    c.value -> 'inputs', c.value ->> 'pool', c.value ->> 'shape', c.value ->> 'cost_ms', c.value ->> 'run_at',
    c.value ->> 'deadline', c.value ->> 'timeout_ms', c.value ->> 'max_attempts', c.value ->> 'backoff_base_ms',
    c.value ->> 'backoff_cap_ms', c.value ->> 'state', c.value ->> 'state', ?4
from json_each(?1) as c
order by c.key
