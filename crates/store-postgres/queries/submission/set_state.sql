-- $1 batch, $2 state
update batches set state = $2, ended_at = case when $2 <> 'open' then now_us() end where id = $1
