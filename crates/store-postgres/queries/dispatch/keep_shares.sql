-- $1 pool, $2 band, $3 tenants, $4 deficits
insert into shares (pool, band, tenant, deficit)
select $1, $2, tenant, deficit from unnest($3::uuid[], $4::bigint[]) as c (tenant, deficit)
on conflict (pool, band, tenant) do update set deficit = excluded.deficit
where shares.deficit <> excluded.deficit
