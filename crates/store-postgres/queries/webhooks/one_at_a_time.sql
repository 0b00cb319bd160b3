-- $1 tenant: waits for whoever adds one at the same time
select pg_advisory_xact_lock(hashtextextended($1::uuid::text, 5))
