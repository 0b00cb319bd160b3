-- ?1 pool, ?2 band, ?3 tenants and deficits
insert into shares (pool, band, tenant, deficit)
select ?1, ?2, c.value ->> 'tenant', c.value ->> 'deficit' from json_each(?3) as c
where true
on conflict (pool, band, tenant) do update set deficit = excluded.deficit
