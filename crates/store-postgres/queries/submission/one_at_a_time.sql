-- $1 tenant, $2 idempotency key: waits for whoever uses the same
select pg_advisory_xact_lock(hashtextextended($1::uuid::text || ' ' || $2::text, 4))
