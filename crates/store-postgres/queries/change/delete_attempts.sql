delete from attempts where job = any($1)
