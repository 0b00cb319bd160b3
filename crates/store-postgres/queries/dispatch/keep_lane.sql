insert into lanes (pool, band, owed, turn) values ($1, $2, $3, $4)
on conflict (pool, band) do update set owed = excluded.owed, turn = excluded.turn
