select
    j.pool, b.band,
    sum(j.state = 'queued' and j.dispatched_at is null) as queued,
    sum(case when j.state = 'queued' and j.dispatched_at is null then j.cost_ms else 0 end) as queued_cost_ms,
    sum(j.state = 'queued' and j.dispatched_at is not null) as dispatched,
    sum(j.state = 'running') as running
from batches as b
join jobs as j on j.batch = b.id
where b.state = 'open' and j.state in ('queued', 'running')
group by j.pool, b.band
order by j.pool, b.band
