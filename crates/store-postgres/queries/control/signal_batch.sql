-- $1 batch, $2 signal: the jobs that were not told as much before
update leases set signal = $2 where batch = $1 and signal < $2
returning job
