-- ?2 now
update webhook_deliveries set due_at = ?2 where webhook = ?1 and state = 'pending' and due_at is null
