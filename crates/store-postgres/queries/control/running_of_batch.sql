select count(*) as running from leases where batch = $1
