-- $1 ids of jobs: whether something that each waits for is still to come, or can no longer succeed. What is gone had not
-- succeeded: whoever deletes what had drops the dependency too
select
    j.id as job,
    coalesce(bool_or(
        d.on_job is not null and p.state is distinct from 'succeeded'
        or d.on_batch is not null and b.state is distinct from 'completed'
    ), false) as unmet,
    coalesce(bool_or(
        d.on_job is not null and coalesce(p.state, 'failed') in ('failed', 'canceled', 'expired')
        or d.on_batch is not null and coalesce(b.state, 'failed') in ('failed', 'canceled')
    ), false) as doomed
from jobs as j
left join dependencies as d on d.job = j.id
left join jobs as p on p.id = d.on_job and p.tenant = j.tenant
left join batches as b on b.id = d.on_batch and b.tenant = j.tenant
where j.id = any($1)
group by j.id
