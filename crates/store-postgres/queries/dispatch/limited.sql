-- $1 tenants: those with a limit. Locked, so that no other pool counts what they use at the same time
select id, max_running from tenants where id = any($1) and max_running is not null order by id for no key update
