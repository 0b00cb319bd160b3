-- $1 pool, $2 band, $3 dispatched before
update jobs set dispatched_at = null
where id in (
    select j.id
    from jobs as j
    join batches as b on b.id = j.batch
    where j.pool = $1 and j.state = 'queued' and j.dispatched_at is not null and j.dispatched_at < $3 and b.band = $2
    order by j.id
    for no key update of j
)
