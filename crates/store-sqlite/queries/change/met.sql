-- ?1 ids of jobs: those that wait for nothing any more
select wanted.value as job
from json_each(?1) as wanted
where not exists (
    select 1
    from dependencies as d
    left join jobs as p on p.id = d.on_job
    left join batches as b on b.id = d.on_batch
    where d.job = wanted.value
        and (coalesce(p.state, 'succeeded') <> 'succeeded' or coalesce(b.state, 'completed') <> 'completed')
)
