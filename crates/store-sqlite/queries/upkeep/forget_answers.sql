delete from answers
where (tenant, key) in (select tenant, key from answers where created_at <= ?1 order by created_at limit ?2)
