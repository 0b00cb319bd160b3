-- ?1 tenant, ?2 ids of batches
select b.id, b.state from json_each(?2) as wanted join batches as b on b.id = wanted.value where b.tenant = ?1
