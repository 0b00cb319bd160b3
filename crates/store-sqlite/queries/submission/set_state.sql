-- ?1 batch, ?2 state, ?3 when it ended
update batches set state = ?2, ended_at = ?3 where id = ?1
