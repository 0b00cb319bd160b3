-- ?1 tenant, ?2 ids of jobs
select j.id, j.state from json_each(?2) as wanted join jobs as j on j.id = wanted.value where j.tenant = ?1
