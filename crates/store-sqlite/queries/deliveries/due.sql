-- ?1 now, ?2 most rows, ?3 most of one webhook
select
    d.number, d.webhook, d.tenant, d.event, d.epoch + 1 as epoch, d.kind, d.data, d.attempts + 1 as attempts,
    d.created_at, w.url, w.secret, case when w.previous_until > ?1 then w.previous_secret end as previous_secret
from (
    select *, row_number() over (partition by webhook order by due_at) as place
    from webhook_deliveries
    where state = 'pending' and due_at <= ?1
) as d
join webhooks as w on w.id = d.webhook
where d.place <= ?3 and w.disabled_at is null
order by d.due_at
limit ?2
