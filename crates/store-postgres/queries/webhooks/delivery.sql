select event, webhook, kind, data, state, attempts, due_at, status, error_code, error_message, created_at, ended_at
from webhook_deliveries
where tenant = $1 and webhook = $2 and event = $3
