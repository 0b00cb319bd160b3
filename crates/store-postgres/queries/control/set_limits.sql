insert into tenants (id, weight, max_running) values ($1, $2, $3)
on conflict (id) do update set weight = excluded.weight, max_running = excluded.max_running
