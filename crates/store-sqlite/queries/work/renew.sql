-- ?1 beats, ?2 boot, ?3 now, ?4 end of the lease
update leases set
    expires_at = ?4,
    on_device = max(on_device, c.value ->> 'on_device'),
    step = c.value ->> 'step',
    steps = c.value ->> 'steps'
from json_each(?1) as c
where leases.job = c.value ->> 'job' and leases.epoch = c.value ->> 'epoch' and leases.boot = ?2
returning
    job, epoch, timeout_at <= ?3 as timed_out,
    -- What was asked of the whole batch is read there.
    (
        select case when b.cancel_requested then 2 when b.hand_over then max(leases.signal, 1) else leases.signal end
        from batches as b
        where b.id = leases.batch
    ) as signal
