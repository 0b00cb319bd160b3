-- $1 tenant, $2 before, $3 most rows, $4 state (or null), $5 label (or null)
select
    b.*,
    coalesce(d.total, 0) as d_total, coalesce(d.succeeded, 0) as d_succeeded, coalesce(d.failed, 0) as d_failed,
    coalesce(d.canceled, 0) as d_canceled, coalesce(d.expired, 0) as d_expired
from batches as b
left join lateral (
    select
        sum(total)::bigint as total, sum(succeeded)::bigint as succeeded, sum(failed)::bigint as failed,
        sum(canceled)::bigint as canceled, sum(expired)::bigint as expired
    from batch_deltas
    where batch = b.id
) as d on true
where b.tenant = $1 and b.id < $2 and b.state = coalesce($4, b.state)
    and ($5::text is null or b.label = $5)
order by b.id desc
limit $3
