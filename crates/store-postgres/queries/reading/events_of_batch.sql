-- $1 transaction and $2 entry after which, $3 most rows, $4 tenant, $5 batch
select xid::text::bigint as transaction, id, tenant, batch, job, event, epoch, state, at
from events
where batch = $5 and (xid, id) > ($1::bigint::text::xid8, $2) and xid < pg_snapshot_xmin(pg_current_snapshot())
    and tenant = $4
order by xid, id
limit $3
