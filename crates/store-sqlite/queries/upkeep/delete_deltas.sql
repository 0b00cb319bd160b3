delete from batch_deltas where batch in (select value from json_each(?1))
