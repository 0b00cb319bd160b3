-- $1 job, $2 tenant
select batch from jobs where id = $1 and tenant = $2
