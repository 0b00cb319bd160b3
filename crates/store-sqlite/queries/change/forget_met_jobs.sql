-- ?1 ids of jobs that are deleted: who waits for one that succeeded waits for it no more
delete from dependencies
where on_job in (
    select p.id from json_each(?1) as gone join jobs as p on p.id = gone.value where p.state = 'succeeded'
)
