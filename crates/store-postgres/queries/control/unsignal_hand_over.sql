update leases set signal = 0 where batch = $1 and signal = 1
