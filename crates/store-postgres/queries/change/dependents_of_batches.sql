-- $1 ids of batches that ended: the blocked jobs that wait for them
select distinct d.job
from dependencies as d
join jobs as j on j.id = d.job
where d.on_batch = any($1) and j.state = 'blocked'
