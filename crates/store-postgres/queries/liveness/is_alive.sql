-- $1 and $2 the halves of the lock's number
select exists(
    select 1
    from pg_locks
    where locktype = 'advisory' and granted and objsubid = 1 and classid = $1::bigint::oid and objid = $2::bigint::oid
        and database = (select oid from pg_database where datname = current_database())
) as alive
