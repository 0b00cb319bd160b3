select
    j.pool, b.band,
    count(*) filter (where j.state = 'queued' and j.dispatched_at is null) as queued,
    coalesce(sum(j.cost_ms) filter (where j.state = 'queued' and j.dispatched_at is null), 0)::bigint as queued_cost_ms,
    count(*) filter (where j.state = 'queued' and j.dispatched_at is not null) as dispatched,
    count(*) filter (where j.state = 'running') as running
from batches as b
join jobs as j on j.batch = b.id
where b.state = 'open' and j.state in ('queued', 'running')
group by j.pool, b.band
order by j.pool, b.band
