-- $3 event, $4 data, $5 most tests that wait
insert into webhook_deliveries (webhook, tenant, event, kind, data, state, due_at, created_at)
select w.id, w.tenant, $3::text, 'webhook.test', $4::json, 'pending', now_us(), now_us()
from webhooks as w
where w.tenant = $1 and w.id = $2
    and (
        select count(*)
        from webhook_deliveries as d
        where d.webhook = w.id and d.state = 'pending' and d.kind = 'webhook.test'
    ) < $5
