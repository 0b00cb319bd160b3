update batches set paused = $2 where id = $1
