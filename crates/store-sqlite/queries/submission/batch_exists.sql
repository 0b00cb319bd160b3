select 1 from batches where id = ?1
