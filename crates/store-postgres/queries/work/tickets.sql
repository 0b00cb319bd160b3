-- $1 ids of jobs, locked before
select
    j.id, j.batch, j.tenant, j.state, j.epoch, j.starts, j.failures, j.crashes, j.out_of_memory, j.parkings, j.suspect,
    j.max_attempts, j.backoff_base_ms, j.backoff_cap_ms, coalesce(j.run_at > now_us(), false) as later,
    l.job is not null as runs, l.alone, l.on_device,
    case when b.cancel_requested then 2::smallint else l.signal end as signal, l.boot, l.expires_at <= now_us() as lease_expired,
    j.kind, j.version, j.payload, j.inputs, j.shape, j.timeout_ms,
    coalesce(j.deadline <= now_us(), false) as past_deadline,
    b.band, b.paused, b.cancel_requested as batch_canceled, b.state as batch_state, x.state as export
from unnest($1::uuid[]) with ordinality as wanted (id, place)
join jobs as j on j.id = wanted.id
join batches as b on b.id = j.batch
left join leases as l on l.job = j.id
left join exports as x on x.job = j.id
order by wanted.place
