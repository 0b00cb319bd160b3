-- ?1 batch, ?2 ended before, ?3 most rows; none that waits for what can no longer succeed: that is retried before it
select j.id
from jobs as j
where j.batch = ?1 and j.state in ('failed', 'canceled', 'expired') and j.ended_at <= ?2
    and not exists (
        select 1
        from dependencies as d
        left join jobs as p on p.id = d.on_job and p.tenant = j.tenant
        left join batches as b on b.id = d.on_batch and b.tenant = j.tenant
        where d.job = j.id
            and (
                d.on_job is not null and coalesce(p.state, 'failed') in ('failed', 'canceled', 'expired')
                or d.on_batch is not null and coalesce(b.state, 'failed') in ('failed', 'canceled')
            )
    )
order by j.id
limit ?3
