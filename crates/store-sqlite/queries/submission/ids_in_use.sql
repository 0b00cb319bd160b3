-- ?1 ids of jobs, whosever they are
select j.id from json_each(?1) as wanted join jobs as j on j.id = wanted.value
