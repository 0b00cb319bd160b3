-- $1 batches, locked before
with gone as (
    delete from batch_deltas where batch = any($1) returning batch, total, succeeded, failed, canceled, expired
)
select
    b.id as batch, b.tenant, b.state, b.generation, b.cancel_requested, b.total, b.succeeded, b.failed, b.canceled,
    b.expired, sum(d.total)::bigint as d_total, sum(d.succeeded)::bigint as d_succeeded, sum(d.failed)::bigint as d_failed,
    sum(d.canceled)::bigint as d_canceled, sum(d.expired)::bigint as d_expired
from gone as d
join batches as b on b.id = d.batch
group by b.id
order by b.id
