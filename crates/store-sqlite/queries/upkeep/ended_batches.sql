select tenant, id
from batches
where state in ('completed', 'canceled', 'failed') and ended_at <= ?1
order by ended_at
limit ?2
