-- $1 ids of jobs
select
    j.id, j.batch, j.tenant, j.state, j.epoch, j.starts, j.failures, j.crashes, j.out_of_memory, j.parkings, j.suspect,
    j.max_attempts, j.backoff_base_ms, j.backoff_cap_ms, coalesce(j.run_at > now_us(), false) as later,
    l.job is not null as runs, l.alone, l.on_device,
    case when b.cancel_requested then 2::smallint else l.signal end as signal
from unnest($1::uuid[]) with ordinality as wanted (id, place)
join jobs as j on j.id = wanted.id
left join batches as b on b.id = j.batch
left join leases as l on l.job = j.id
order by wanted.place
