insert into answers (tenant, key, fingerprint, answer, created_at) values ($1, $2, $3, $4, now_us())
