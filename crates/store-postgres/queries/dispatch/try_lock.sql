-- $1 pool
select pg_try_advisory_xact_lock(hashtextextended($1, 5)) as locked
