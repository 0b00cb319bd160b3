-- $1 pairs of a job and what it waits for
insert into dependencies (job, on_job, on_batch)
select job, on_job, on_batch from json_to_recordset($1::json) as c (job uuid, on_job uuid, on_batch uuid)
