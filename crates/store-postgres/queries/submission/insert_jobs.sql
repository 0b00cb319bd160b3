-- $1 jobs, $2 batch, $3 tenant
insert into jobs (
    id, batch, tenant, key, kind, version, payload, inputs, pool, shape, cost_ms, run_at, deadline, timeout_ms,
    max_attempts, backoff_base_ms, backoff_cap_ms, born, state, created_at
)
select
    id, $2, $3, key, kind, version, payload, inputs, pool, shape, cost_ms, run_at, deadline, timeout_ms, max_attempts,
    backoff_base_ms, backoff_cap_ms, state, state, now_us()
from json_to_recordset($1::json) as c (
    id uuid, key text, kind text, version integer, payload json, inputs json, pool text, shape text, cost_ms bigint,
    run_at bigint, deadline bigint, timeout_ms bigint, max_attempts integer, backoff_base_ms bigint,
    backoff_cap_ms bigint, state text
)
on conflict do nothing
returning id
