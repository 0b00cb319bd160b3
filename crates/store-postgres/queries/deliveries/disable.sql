-- $2 reason, $3 unless it took something in this time, if it is given
update webhooks set disabled_reason = $2, disabled_at = now_us()
where id = $1 and disabled_at is null
    and not exists (
        select 1
        from webhook_deliveries as d
        where d.webhook = $1 and d.state = 'delivered' and d.ended_at >= now_us() - $3
    )
