-- $2 behind this id, $3 most rows
select id, tenant, name, scope, created_at, expires_at, revoked_at
from keys
where tenant = $1 and id > $2
order by id
limit $3
