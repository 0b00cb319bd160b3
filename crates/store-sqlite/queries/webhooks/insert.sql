-- ?2 tenant, ?6 now, ?7 most of a tenant; no row is stored if there are as many
insert into webhooks (id, tenant, url, kinds, secret, created_at)
select ?1, ?2, ?3, ?4, ?5, ?6
where (select count(*) from webhooks where tenant = ?2) < ?7
