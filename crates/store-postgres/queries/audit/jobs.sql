-- $1 batch, $2 after, $3 most rows
select
    j.id, j.born, j.state, j.epoch, j.dispatched_at is not null as dispatched, j.output is not null as has_output,
    j.error_code is not null as has_error, l.epoch as lease_epoch,
    (
        select count(*)
        from dependencies as d
        left join jobs as p on p.id = d.on_job
        left join batches as b on b.id = d.on_batch
        where d.job = j.id
            and (coalesce(p.state, 'succeeded') <> 'succeeded' or coalesce(b.state, 'completed') <> 'completed')
    ) as unmet,
    (select coalesce(json_agg(epoch order by epoch), '[]') from attempts where job = j.id) as attempts,
    (select coalesce(json_agg(json_build_array(event, epoch, state) order by id), '[]') from events where job = j.id)
        as events
from jobs as j
left join leases as l on l.job = j.id
where j.batch = $1 and j.id > $2
order by j.id
limit $3
