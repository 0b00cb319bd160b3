-- ?1 changes
delete from leases
where job in (select c.value ->> 'job' from json_each(?1) as c where c.value ->> '$.attempt.outcome' is not null)
