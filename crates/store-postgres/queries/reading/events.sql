-- $1 transaction and $2 entry after which, $3 most rows
select xid::text::bigint as transaction, id, tenant, batch, job, event, epoch, state, at
from events
where (xid, id) > ($1::bigint::text::xid8, $2) and xid < pg_snapshot_xmin(pg_current_snapshot())
order by xid, id
limit $3
