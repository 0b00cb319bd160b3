-- $1 changes of counts
insert into batch_deltas (batch, total, succeeded, failed, canceled, expired)
select batch, total, succeeded, failed, canceled, expired
from json_to_recordset($1::json) as c (
    batch uuid, total bigint, succeeded bigint, failed bigint, canceled bigint, expired bigint
)
