-- $1 ids of jobs that are deleted: who waits for one that succeeded waits for it no more
delete from dependencies using jobs as p where dependencies.on_job = p.id and p.id = any($1) and p.state = 'succeeded'
