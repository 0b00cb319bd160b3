-- $1 batch, $2 paused, $3 what runs is handed over
update batches set paused = $2, hand_over = $3 where id = $1
