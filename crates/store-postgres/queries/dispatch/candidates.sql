-- $1 pool, $2 band, $3 most rows of a tenant. The tenants with open batches are found by hopping through the index
with recursive busy (id) as (
    (
        select tenant from batches
        where band = $2 and state = 'open' and not paused and not cancel_requested
        order by tenant
        limit 1
    )
    union all
    select (
        select b.tenant from batches as b
        where b.band = $2 and b.state = 'open' and not b.paused and not b.cancel_requested and b.tenant > busy.id
        order by b.tenant
        limit 1
    )
    from busy
    where busy.id is not null
)
select
    o.id as tenant, coalesce(t.weight, 1) as weight, coalesce(s.deficit, 0) as deficit,
    due.id, due.epoch, due.shape, due.cost_ms
from busy as o
left join tenants as t on t.id = o.id
left join shares as s on s.pool = $1 and s.band = $2 and s.tenant = o.id
cross join lateral (
    select j.id, j.epoch, j.shape, j.cost_ms, b.id as batch
    from batches as b
    cross join lateral (
        select id, epoch, shape, cost_ms from jobs
        where batch = b.id and pool = $1 and state = 'queued' and dispatched_at is null
            and (deadline is null or deadline > now_us())
        order by id
        limit $3
    ) as j
    where b.band = $2 and b.tenant = o.id and b.state = 'open' and not b.paused and not b.cancel_requested
    order by b.id
    limit $3
) as due
where o.id is not null
order by o.id, due.batch, due.id
