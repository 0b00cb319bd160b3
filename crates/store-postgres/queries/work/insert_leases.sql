-- $1 runs, $2 boot, $3 length
insert into leases (job, epoch, tenant, batch, boot, alone, started_at, expires_at, timeout_at)
select job, epoch, tenant, batch, $2, alone, now_us(), now_us() + $3, now_us() + timeout
from json_to_recordset($1::json) as c (
    job uuid, epoch integer, tenant uuid, batch uuid, alone boolean, timeout bigint
)
