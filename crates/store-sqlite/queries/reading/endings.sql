-- ?1 after, ?2 most rows, ?3 tenant, ?4 batch, ?5 states; a job that was retried is over with another epoch
select
    e.id as entry, j.*, 0 as runs,
    (
        select json_group_array(json_array(d.on_job, d.on_batch)) from dependencies as d where d.job = j.id
    ) as waits_for
from events as e
join jobs as j on j.id = e.job and j.state = e.state and j.epoch = e.epoch
where e.batch = ?4 and e.id > ?1 and e.tenant = ?3 and e.state in (select value from json_each(?5))
order by e.id
limit ?2
