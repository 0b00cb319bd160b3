update batches set cancel_requested = 1 where id = ?1
