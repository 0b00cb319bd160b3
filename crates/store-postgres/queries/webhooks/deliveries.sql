-- $3 behind this event or none, $4 most rows
select event, webhook, kind, data, state, attempts, due_at, status, error_code, error_message, created_at, ended_at
from webhook_deliveries
where tenant = $1 and webhook = $2
    and (
        $3::text is null
        or number < (select b.number from webhook_deliveries as b where b.webhook = $2 and b.event = $3)
    )
order by number desc
limit $4
