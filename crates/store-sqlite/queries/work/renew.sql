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
    -- Also a run that was claimed while its batch was being called off hears of it.
    case when (select b.cancel_requested from batches as b where b.id = leases.batch) then 2 else signal end as signal
