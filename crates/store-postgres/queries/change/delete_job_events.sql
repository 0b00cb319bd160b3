delete from events where job = any($1)
