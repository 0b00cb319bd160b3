-- ?1 ids of jobs, ?2 now
select
    j.id, j.batch, j.tenant, j.state, j.epoch, j.starts, j.failures, j.crashes, j.out_of_memory, j.parkings, j.suspect,
    j.max_attempts, j.backoff_base_ms, j.backoff_cap_ms, coalesce(j.run_at > ?2, 0) as later,
    l.job is not null as runs, l.alone, l.on_device,
    case when b.cancel_requested then 2 else l.signal end as signal
from json_each(?1) as wanted
join jobs as j on j.id = wanted.value
left join batches as b on b.id = j.batch
left join leases as l on l.job = j.id
order by wanted.key
