-- $1 changes. Everything that is written about events of jobs, in one statement
with c as (
    select *
    from rows from (
        json_to_recordset($1::json) as (
            job uuid, batch uuid, tenant uuid, event text, state_before text, state text, epoch_before integer,
            epoch integer, starts integer, failures integer, crashes integer, out_of_memory integer, parkings integer,
            suspect boolean, delay bigint, retried boolean, ended boolean, output json, error_code text,
            error_message text, attempt json
        )
    ) with ordinality as given (
        job, batch, tenant, event, state_before, state, epoch_before, epoch, starts, failures, crashes, out_of_memory,
        parkings, suspect, delay, retried, ended, output, error_code, error_message, attempt, place
    )
), changed as (
    update jobs set
        state = c.state,
        epoch = c.epoch,
        starts = c.starts,
        failures = c.failures,
        crashes = c.crashes,
        out_of_memory = c.out_of_memory,
        parkings = c.parkings,
        suspect = c.suspect,
        dispatched_at = null,
        run_at = case when c.retried then null else coalesce(now_us() + c.delay, jobs.run_at) end,
        deadline = case when c.retried then null else jobs.deadline end,
        output = c.output -> 0,
        error_code = c.error_code,
        error_message = c.error_message,
        ended_at = case when c.ended then now_us() end
    from c
    where jobs.id = c.job and jobs.epoch = c.epoch_before and jobs.state = c.state_before
    returning jobs.id
), released as (
    delete from leases using c
    where leases.job = c.job and c.attempt is not null
    returning leases.*
), recorded as (
    insert into attempts (
        job, epoch, tenant, batch, boot, started_at, ended_at, outcome, charged, error_code, error_message, device_ms,
        forwards, load_ms
    )
    select
        r.job, r.epoch, r.tenant, r.batch, r.boot, r.started_at, now_us(), c.attempt ->> 'outcome',
        (c.attempt ->> 'charged')::boolean, c.attempt ->> 'error_code', c.attempt ->> 'error_message',
        (c.attempt ->> 'device_ms')::bigint, (c.attempt ->> 'forwards')::bigint, (c.attempt ->> 'load_ms')::bigint
    from released as r
    join c on c.job = r.job
), dropped as (
    delete from exports using c where exports.job = c.job and c.ended
), unblocked as (
    delete from dependencies using c
    where dependencies.job = c.job and c.event in ('unblocked', 'unblocked_later')
), logged as (
    insert into events (tenant, batch, job, event, epoch, state, at)
    select tenant, batch, job, event, epoch, state, now_us() from c order by place
)
select count(*) as changed from changed
