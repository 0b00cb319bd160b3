update webhook_deliveries set due_at = now_us() where webhook = $1 and state = 'pending' and due_at is null
