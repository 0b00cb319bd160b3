update webhook_deliveries set
    state = 'pending', epoch = epoch + 1, attempts = 0, due_at = now_us(), ended_at = null
where tenant = $1 and webhook = $2 and event = $3
