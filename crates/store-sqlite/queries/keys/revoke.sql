update keys set revoked_at = coalesce(revoked_at, ?3) where tenant = ?1 and id = ?2
