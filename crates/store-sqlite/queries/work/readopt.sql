-- ?1 job, ?2 epoch, ?3 end of the lease
update leases set expires_at = ?3 where job = ?1 and epoch = ?2
