update webhooks set
    disabled_reason = coalesce(disabled_reason, 'by_owner'), disabled_at = coalesce(disabled_at, now_us())
where tenant = $1 and id = $2
