update batches set band = $2 where id = $1
