-- ?1 changes, ?2 now
update jobs set
    state = c.value ->> 'state',
    epoch = c.value ->> 'epoch',
    starts = c.value ->> 'starts',
    failures = c.value ->> 'failures',
    crashes = c.value ->> 'crashes',
    out_of_memory = c.value ->> 'out_of_memory',
    parkings = c.value ->> 'parkings',
    suspect = c.value ->> 'suspect',
    dispatched_at = null,
    run_at = case when c.value ->> 'retried' then null else coalesce(?2 + (c.value ->> 'delay'), run_at) end,
    deadline = case when c.value ->> 'retried' then null else deadline end,
    output = c.value -> '$.output[0]',
    error_code = c.value ->> 'error_code',
    error_message = c.value ->> 'error_message',
    ended_at = case when c.value ->> 'ended' then ?2 end
from json_each(?1) as c
where jobs.id = c.value ->> 'job'
    and jobs.epoch = c.value ->> 'epoch_before'
    and jobs.state = c.value ->> 'state_before'
