-- ?3 epoch, ?4 state, ?5 when it is tried again, ?6 status, ?7 code and ?8 message of the error, ?9 now
update webhook_deliveries set
    state = ?4, due_at = ?5, status = ?6, error_code = ?7, error_message = ?8,
    ended_at = case when ?4 <> 'pending' then ?9 end
where webhook = ?1 and event = ?2 and epoch = ?3 and state = 'pending'
