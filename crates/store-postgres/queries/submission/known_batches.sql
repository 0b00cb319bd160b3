-- $1 tenant, $2 ids of batches; none of them ends before this transaction does
select id, state from batches where tenant = $1 and id = any($2) order by id for share
