-- $1 ids of jobs, $2 epochs
update attempts set swept = true
from unnest($1::uuid[], $2::integer[]) as c (job, epoch)
where attempts.job = c.job and attempts.epoch = c.epoch
