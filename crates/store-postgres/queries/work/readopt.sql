-- $1 job, $2 epoch, $3 length
update leases set expires_at = now_us() + $3 where job = $1 and epoch = $2
