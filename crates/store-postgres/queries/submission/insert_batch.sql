insert into batches (id, tenant, band, label, meta, state, created_at, touched_at)
values ($1, $2, $3, $4, $5::json, $6, now_us(), now_us())
