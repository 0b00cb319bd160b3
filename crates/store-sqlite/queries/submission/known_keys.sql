-- ?1 tenant, ?2 keys, ?3 the batch that is stored
select j.key, j.id, b.state = 'loading' and b.id <> ?3 as loading
from json_each(?2) as wanted
join jobs as j on j.tenant = ?1 and j.key = wanted.value and j.key is not null
join batches as b on b.id = j.batch
