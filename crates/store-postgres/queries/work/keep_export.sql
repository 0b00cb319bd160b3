insert into exports (job, state) values ($1, $2)
on conflict (job) do update set state = excluded.state
