-- $1 tenant, $2 keys
select key, id from jobs where tenant = $1 and key = any($2)
