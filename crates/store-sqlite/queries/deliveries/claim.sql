-- ?1 numbers, ?2 until when nobody else gets them
update webhook_deliveries set epoch = epoch + 1, attempts = attempts + 1, due_at = ?2
where number in (select value from json_each(?1))
