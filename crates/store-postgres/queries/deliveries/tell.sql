-- $1 events with their tenants. An event is told to a webhook once, however often it is stored
insert into webhook_deliveries (webhook, tenant, event, kind, data, state, due_at, created_at)
select w.id, w.tenant, e.event, e.kind, e.data, 'pending', now_us(), now_us()
from json_to_recordset($1::json) as e (tenant uuid, event text, kind text, data json)
join webhooks as w on w.tenant = e.tenant and w.disabled_at is null and w.kinds @> to_jsonb(e.kind)
on conflict (webhook, event) do nothing
