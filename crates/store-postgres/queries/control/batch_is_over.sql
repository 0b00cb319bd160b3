select 1 as one from batches where id = $1 and state <> 'open'
