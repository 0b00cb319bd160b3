-- $1 most batches
select b.id
from batches as b
where b.id in (select batch from batch_deltas)
order by b.id
limit $1
for no key update skip locked
