-- ?1 batch, ?2 after, ?3 most rows
select
    j.id, j.born, j.state, j.epoch, j.dispatched_at is not null as dispatched, j.output is not null as has_output,
    j.error_code is not null as has_error, l.epoch as lease_epoch,
    (
        select count(*)
        from dependencies as d
        left join jobs as p on p.id = d.on_job and p.tenant = j.tenant
        left join batches as b on b.id = d.on_batch and b.tenant = j.tenant
        where d.job = j.id and (
            d.on_job is not null and p.state is not 'succeeded'
            or d.on_batch is not null and b.state is not 'completed'
        )
    ) as unmet,
    (
        select count(*)
        from dependencies as d
        left join jobs as p on p.id = d.on_job and p.tenant = j.tenant
        left join batches as b on b.id = d.on_batch and b.tenant = j.tenant
        where d.job = j.id and (
            d.on_job is not null and coalesce(p.state, 'failed') in ('failed', 'canceled', 'expired')
            or d.on_batch is not null and coalesce(b.state, 'failed') in ('failed', 'canceled')
        )
    ) as doomed,
    (
        select json_group_array(a.epoch)
        from (select epoch from attempts where job = j.id order by epoch) as a
    ) as attempts,
    (
        select json_group_array(json_array(e.event, e.epoch, e.state))
        from (select event, epoch, state from events where job = j.id order by id) as e
    ) as events
from jobs as j
left join leases as l on l.job = j.id
where j.batch = ?1 and j.id > ?2
order by j.id
limit ?3
