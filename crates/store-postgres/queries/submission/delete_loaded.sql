-- $1 batch, $2 most rows
delete from jobs where id in (select id from jobs where batch = $1 order by id limit $2) returning id
