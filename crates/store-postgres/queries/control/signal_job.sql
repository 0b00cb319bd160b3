update leases set signal = 2 where job = $1
