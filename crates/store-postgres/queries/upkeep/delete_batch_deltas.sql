delete from batch_deltas where batch = $1
