delete from dependencies where on_batch = $1
