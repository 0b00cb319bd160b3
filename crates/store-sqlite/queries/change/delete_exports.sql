-- ?1 changes
delete from exports
where job in (select c.value ->> 'job' from json_each(?1) as c where c.value ->> 'ended')
