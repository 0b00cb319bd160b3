-- $1 batch that is over
update batches set state = 'open', cancel_requested = false, generation = generation + 1, ended_at = null where id = $1
