update webhooks set disabled_reason = null, disabled_at = null where tenant = ?1 and id = ?2
