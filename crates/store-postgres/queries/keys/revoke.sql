update keys set revoked_at = coalesce(revoked_at, now_us()) where tenant = $1 and id = $2
