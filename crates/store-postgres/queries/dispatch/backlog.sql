-- Each part has a partial index, or is as small as the number of runs
select
    pool, band, sum(queued)::bigint as queued, sum(cost_ms)::bigint as queued_cost_ms,
    sum(dispatched)::bigint as dispatched, sum(running)::bigint as running
from (
    select j.pool, b.band, count(*) as queued, sum(j.cost_ms) as cost_ms, 0 as dispatched, 0 as running
    from batches as b
    join jobs as j on j.batch = b.id and j.state = 'queued' and j.dispatched_at is null
    where b.state = 'open'
    group by j.pool, b.band
    union all
    select j.pool, b.band, 0, 0, count(*), 0
    from jobs as j
    join batches as b on b.id = j.batch
    where j.state = 'queued' and j.dispatched_at is not null and b.state = 'open'
    group by j.pool, b.band
    union all
    select j.pool, b.band, 0, 0, 0, count(*)
    from leases as l
    join jobs as j on j.id = l.job
    join batches as b on b.id = l.batch
    where b.state = 'open'
    group by j.pool, b.band
) as parts
group by pool, band
order by pool, band
