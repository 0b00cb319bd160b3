-- ?1 tenant, ?2 from, ?3 before; days in microseconds
select
    a.ended_at / 86400000000 * 86400000000 as day, count(*) as runs, count(j.id) as succeeded,
    coalesce(
        sum(case when json_type(j.output, '$.files') = 'array' then json_array_length(j.output, '$.files') end), 0
    ) as files,
    sum(a.device_ms) as device_ms, sum(a.forwards) as forwards, sum(a.load_ms) as load_ms
from attempts as a
left join jobs as j on j.id = a.job and a.outcome = 'succeeded'
where a.tenant = ?1 and a.ended_at >= ?2 and a.ended_at < ?3
group by 1
order by 1
