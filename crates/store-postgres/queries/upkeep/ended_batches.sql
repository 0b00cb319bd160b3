-- $1 ended so long ago, $2 most rows
select tenant, id
from batches
where state in ('completed', 'canceled', 'failed') and ended_at <= now_us() - $1
order by ended_at
limit $2
