-- $1 batch, $2 after, $3 most rows
select id from jobs
where batch = $1 and id > $2 and state in ('failed', 'canceled', 'expired')
order by id
limit $3
