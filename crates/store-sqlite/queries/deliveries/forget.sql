-- ?1 stored before this, ?2 most rows
delete from webhook_deliveries
where number in (
    select d.number
    from webhook_deliveries as d
    where d.created_at <= ?1
        and (
            d.state <> 'pending'
            or not exists (select 1 from webhooks as w where w.id = d.webhook and w.disabled_at is null)
        )
    order by d.created_at
    limit ?2
)
