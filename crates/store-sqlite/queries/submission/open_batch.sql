update batches set state = 'open' where id = ?1
