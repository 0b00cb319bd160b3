-- $2 tenant, $6 most of a tenant; no row is stored if there are as many
insert into webhooks (id, tenant, url, kinds, secret, created_at)
select $1::uuid, $2::uuid, $3::text, $4::jsonb, $5::bytea, now_us()
where (select count(*) from webhooks where tenant = $2) < $6
