update batches set cancel_requested = true where id = $1
