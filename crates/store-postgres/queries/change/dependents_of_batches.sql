-- $1 ids of batches that ended: the jobs that wait for them. In whatever state: whether one is blocked is seen under its lock
select distinct job from dependencies where on_batch = any($1)
