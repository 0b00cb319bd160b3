-- $1 batch, $2 new, $3 duplicate, $4 invalid, $5 offset
update batches set
    rows_new = rows_new + $2, rows_duplicate = rows_duplicate + $3, rows_invalid = rows_invalid + $4,
    load_offset = $5, touched_at = now_us()
where id = $1
