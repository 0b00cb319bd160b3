update batches set
    cancel_requested = 0,
    generation = generation + (state <> 'open'),
    state = 'open',
    ended_at = null
where id = ?1
