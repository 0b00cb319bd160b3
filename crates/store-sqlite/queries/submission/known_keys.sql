-- ?1 tenant, ?2 keys
select j.key, j.id
from json_each(?2) as wanted
join jobs as j on j.tenant = ?1 and j.key = wanted.value and j.key is not null
