-- $1 most rows
select stray
from (
    select 'lease of job ' || x.job as stray from leases as x where not exists (select from jobs where id = x.job)
    union all
    select 'attempt of job ' || x.job from attempts as x where not exists (select from jobs where id = x.job)
    union all
    select 'event of job ' || x.job from events as x
    where x.job is not null and not exists (select from jobs where id = x.job)
    union all
    select 'dependency of job ' || x.job from dependencies as x where not exists (select from jobs where id = x.job)
    union all
    select 'export of job ' || x.job from exports as x where not exists (select from jobs where id = x.job)
    union all
    select 'job ' || x.id || ' of batch ' || x.batch from jobs as x
    where not exists (select from batches where id = x.batch)
    union all
    select 'counts of batch ' || x.batch from batch_deltas as x where not exists (select from batches where id = x.batch)
) as strays
limit $1
