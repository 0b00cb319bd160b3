-- $1 after, $2 most rows
select
    b.id, b.tenant, b.state, b.total, b.succeeded, b.failed, b.canceled, b.expired,
    coalesce(d.total, 0) as d_total, coalesce(d.succeeded, 0) as d_succeeded, coalesce(d.failed, 0) as d_failed,
    coalesce(d.canceled, 0) as d_canceled, coalesce(d.expired, 0) as d_expired, d.deltas,
    a.total as a_total, a.succeeded as a_succeeded, a.failed as a_failed, a.canceled as a_canceled,
    a.expired as a_expired
from batches as b
cross join lateral (
    select
        sum(total)::bigint as total, sum(succeeded)::bigint as succeeded, sum(failed)::bigint as failed,
        sum(canceled)::bigint as canceled, sum(expired)::bigint as expired, count(*) as deltas
    from batch_deltas
    where batch = b.id
) as d
cross join lateral (
    select
        count(*) as total, count(*) filter (where state = 'succeeded') as succeeded,
        count(*) filter (where state = 'failed') as failed, count(*) filter (where state = 'canceled') as canceled,
        count(*) filter (where state = 'expired') as expired
    from jobs
    where batch = b.id
) as a
where b.id > $1
order by b.id
limit $2
