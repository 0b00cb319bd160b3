select id from jobs where batch = $1 order by id limit $2
