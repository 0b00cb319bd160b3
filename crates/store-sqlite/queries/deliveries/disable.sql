-- ?2 reason, ?3 now, ?4 unless it took something since then, if it is given
update webhooks set disabled_reason = ?2, disabled_at = ?3
where id = ?1 and disabled_at is null
    and not exists (
        select 1
        from webhook_deliveries as d
        where d.webhook = ?1 and d.state = 'delivered' and d.ended_at >= ?4
    )
