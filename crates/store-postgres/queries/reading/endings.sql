-- $1 transaction and $2 entry after which, $3 most rows, $4 tenant, $5 batch, $6 states; a job that was retried is over
-- with another epoch
select
    e.xid::text::bigint as transaction, e.id as entry, j.*, false as runs,
    (
        select coalesce(json_agg(json_build_array(d.on_job, d.on_batch)), '[]') from dependencies as d where d.job = j.id
    ) as waits_for
from events as e
join jobs as j on j.id = e.job and j.state = e.state and j.epoch = e.epoch
where e.batch = $5 and (e.xid, e.id) > ($1::bigint::text::xid8, $2)
    and e.xid < pg_snapshot_xmin(pg_current_snapshot()) and e.tenant = $4 and e.state = any($6)
order by e.xid, e.id
limit $3
