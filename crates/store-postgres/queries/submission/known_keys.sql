-- $1 tenant, $2 keys, $3 the batch that is stored
select j.key, j.id, b.state = 'loading' and b.id <> $3 as loading
from jobs as j
join batches as b on b.id = j.batch
where j.tenant = $1 and j.key = any($2)
