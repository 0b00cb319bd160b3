select
    d.batch, b.tenant, b.state, b.generation, b.cancel_requested, b.total, b.succeeded, b.failed, b.canceled, b.expired,
    sum(d.total) as d_total, sum(d.succeeded) as d_succeeded, sum(d.failed) as d_failed, sum(d.canceled) as d_canceled,
    sum(d.expired) as d_expired
from batch_deltas as d
join batches as b on b.id = d.batch
group by d.batch
order by d.batch
limit ?1
