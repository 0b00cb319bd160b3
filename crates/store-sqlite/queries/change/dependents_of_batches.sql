-- ?1 ids of batches that ended: the blocked jobs that wait for them
select distinct d.job
from json_each(?1) as ended
join dependencies as d on d.on_batch = ended.value
join jobs as j on j.id = d.job
where j.state = 'blocked'
