select state from batches where id = ?1 and tenant = ?2
