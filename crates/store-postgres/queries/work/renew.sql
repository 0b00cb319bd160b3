-- $1 beats, $2 boot, $3 length
update leases set
    expires_at = now_us() + $3,
    on_device = leases.on_device or c.on_device,
    step = c.step,
    steps = c.steps
from json_to_recordset($1::json) as c (job uuid, epoch integer, on_device boolean, step integer, steps integer)
where leases.job = c.job and leases.epoch = c.epoch and leases.boot = $2
returning
    leases.job, leases.epoch, leases.timeout_at <= now_us() as timed_out,
    -- What was asked of the whole batch is read there, so that a run that was being claimed just then hears of it too.
    (
        select case when b.cancel_requested then 2 when b.hand_over then greatest(leases.signal, 1) else leases.signal end
        from batches as b
        where b.id = leases.batch
    ) as signal
