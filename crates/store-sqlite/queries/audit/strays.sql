select 'lease of job ' || job as stray from leases where job not in (select id from jobs)
union all
select 'attempt of job ' || job from attempts where job not in (select id from jobs)
union all
select 'event of job ' || job from events where job is not null and job not in (select id from jobs)
union all
select 'dependency of job ' || job from dependencies where job not in (select id from jobs)
union all
select 'export of job ' || job from exports where job not in (select id from jobs)
union all
select 'job ' || id || ' of batch ' || batch from jobs where batch not in (select id from batches)
union all
select 'counts of batch ' || batch from batch_deltas where batch not in (select id from batches)
limit ?1
