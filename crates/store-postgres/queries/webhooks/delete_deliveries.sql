delete from webhook_deliveries where webhook = $1
