-- ?1 events with their tenants, ?2 now. An event is told to a webhook once, however often it is stored
insert into webhook_deliveries (webhook, tenant, event, kind, data, state, due_at, created_at)
select
    w.id, w.tenant, e.value ->> 'event', e.value ->> 'kind', e.value -> 'data', 'pending', ?2, ?2
from json_each(?1) as e
join webhooks as w on w.tenant = e.value ->> 'tenant' and w.disabled_at is null
where e.value ->> 'kind' in (select k.value from json_each(w.kinds) as k)
on conflict (webhook, event) do nothing
