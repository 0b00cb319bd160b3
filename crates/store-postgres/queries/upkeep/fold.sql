-- $1 batches with their counts and state
update batches set
    total = c.total, succeeded = c.succeeded, failed = c.failed, canceled = c.canceled, expired = c.expired,
    state = c.state,
    ended_at = case when c.over then now_us() else batches.ended_at end
from json_to_recordset($1::json) as c (
    batch uuid, total bigint, succeeded bigint, failed bigint, canceled bigint, expired bigint, state text,
    over boolean
)
where batches.id = c.batch
