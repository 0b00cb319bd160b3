-- $1 lease, $2 most rows, $3 most of one webhook
with due as (
    select d.number
    from webhooks as w
    cross join lateral (
        select number, due_at
        from webhook_deliveries
        where webhook = w.id and state = 'pending' and due_at <= now_us()
        order by due_at
        limit $3
        for no key update skip locked
    ) as d
    where w.disabled_at is null
        and w.id in (select webhook from webhook_deliveries where state = 'pending' and due_at <= now_us())
    order by d.due_at
    limit $2
)
update webhook_deliveries as d set epoch = d.epoch + 1, attempts = d.attempts + 1, due_at = now_us() + $1
from due, webhooks as w
where d.number = due.number and w.id = d.webhook
returning
    d.webhook, d.tenant, d.event, d.epoch, d.kind, d.data, d.attempts, d.created_at, w.url, w.secret,
    case when w.previous_until > now_us() then w.previous_secret end as previous_secret
