-- ?1 after, ?2 most rows
select
    b.id, b.tenant, b.state, b.total, b.succeeded, b.failed, b.canceled, b.expired,
    coalesce(sum(d.total), 0) as d_total, coalesce(sum(d.succeeded), 0) as d_succeeded,
    coalesce(sum(d.failed), 0) as d_failed, coalesce(sum(d.canceled), 0) as d_canceled,
    coalesce(sum(d.expired), 0) as d_expired, count(d.id) as deltas,
    (select count(*) from jobs as j where j.batch = b.id) as a_total,
    (select count(*) from jobs as j where j.batch = b.id and j.state = 'succeeded') as a_succeeded,
    (select count(*) from jobs as j where j.batch = b.id and j.state = 'failed') as a_failed,
    (select count(*) from jobs as j where j.batch = b.id and j.state = 'canceled') as a_canceled,
    (select count(*) from jobs as j where j.batch = b.id and j.state = 'expired') as a_expired
from batches as b
left join batch_deltas as d on d.batch = b.id
where b.id > ?1
group by b.id
order by b.id
limit ?2
