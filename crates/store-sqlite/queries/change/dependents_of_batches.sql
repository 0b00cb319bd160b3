-- ?1 ids of batches that ended: the jobs that wait for them, in whatever state
select distinct d.job from json_each(?1) as ended join dependencies as d on d.on_batch = ended.value
