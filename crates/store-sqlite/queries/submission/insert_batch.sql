insert into batches (id, tenant, band, label, meta, state, created_at, touched_at)
values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7)
