-- ?1 batch, ?2 most rows. Each part has a partial index
select id from jobs where batch = ?1 and state = 'queued' and dispatched_at is null
union all
select id from jobs where batch = ?1 and state = 'queued' and dispatched_at is not null
union all
select id from jobs where batch = ?1 and state in ('blocked', 'scheduled')
limit ?2
