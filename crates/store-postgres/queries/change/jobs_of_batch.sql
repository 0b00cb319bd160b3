-- $1 batch, $2 most rows. The last first: what waits for others goes before them
select id from jobs where batch = $1 order by id desc limit $2
