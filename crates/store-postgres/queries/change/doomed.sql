-- $1 ids of jobs: those that wait for something that ended without success
select wanted.id as job
from unnest($1::uuid[]) as wanted (id)
where exists (
    select 1
    from dependencies as d
    left join jobs as p on p.id = d.on_job
    left join batches as b on b.id = d.on_batch
    where d.job = wanted.id
        and (p.state in ('failed', 'canceled', 'expired') or b.state in ('canceled', 'failed'))
)
