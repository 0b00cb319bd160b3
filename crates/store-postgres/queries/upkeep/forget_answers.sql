-- $1 older than this, $2 most rows
delete from answers
where (tenant, key) in (
    select tenant, key from answers where created_at <= now_us() - $1 order by created_at limit $2
)
