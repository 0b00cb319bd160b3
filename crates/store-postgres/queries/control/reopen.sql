update batches set
    cancel_requested = false,
    generation = generation + case when state <> 'open' then 1 else 0 end,
    state = 'open',
    ended_at = null
where id = $1
