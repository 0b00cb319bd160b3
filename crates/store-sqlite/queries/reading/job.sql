-- ?1 tenant, ?2 job
select
    j.*, l.job is not null as runs, l.boot, l.started_at, l.expires_at, l.step, l.steps,
    case when b.cancel_requested then 2 else l.signal end as signal,
    (
        select json_group_array(json_array(d.on_job, d.on_batch)) from dependencies as d where d.job = j.id
    ) as waits_for
from jobs as j
left join batches as b on b.id = j.batch
left join leases as l on l.job = j.id
where j.tenant = ?1 and j.id = ?2
