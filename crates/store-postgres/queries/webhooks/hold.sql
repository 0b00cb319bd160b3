update webhook_deliveries set due_at = null where webhook = $1 and state = 'pending'
