insert into keys (id, tenant, name, scope, digest, created_at, expires_at) values (?1, ?2, ?3, ?4, ?5, ?6, ?7)
