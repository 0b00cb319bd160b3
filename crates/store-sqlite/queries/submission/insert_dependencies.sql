-- ?1 pairs of a job and what it waits for
insert into dependencies (job, on_job, on_batch)
select c.value ->> 'job', c.value ->> 'on_job', c.value ->> 'on_batch' from json_each(?1) as c
