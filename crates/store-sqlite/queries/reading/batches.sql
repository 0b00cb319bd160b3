-- ?1 tenant, ?2 after, ?3 most rows, ?4 state (or null), ?5 label (or null)
select
    b.*,
    coalesce(sum(d.total), 0) as d_total, coalesce(sum(d.succeeded), 0) as d_succeeded,
    coalesce(sum(d.failed), 0) as d_failed, coalesce(sum(d.canceled), 0) as d_canceled,
    coalesce(sum(d.expired), 0) as d_expired
from batches as b
left join batch_deltas as d on d.batch = b.id
where b.tenant = ?1 and b.id > ?2 and b.state = coalesce(?4, b.state)
    and (?5 is null or b.label = ?5)
group by b.id
order by b.id
limit ?3
