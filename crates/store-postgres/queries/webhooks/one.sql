select id, tenant, url, kinds, previous_until, disabled_reason, disabled_at, created_at
from webhooks
where tenant = $1 and id = $2
