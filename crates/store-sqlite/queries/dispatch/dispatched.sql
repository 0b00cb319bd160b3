select b.band, count(*) as jobs
from jobs as j
join batches as b on b.id = j.batch
where j.pool = ?1 and j.state = 'queued' and j.dispatched_at is not null
group by b.band
