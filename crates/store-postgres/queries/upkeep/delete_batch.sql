delete from batches where id = $1
