select id, tenant, name, scope, created_at, expires_at, revoked_at
from keys
where digest = ?1 and revoked_at is null and (expires_at is null or expires_at > ?2)
