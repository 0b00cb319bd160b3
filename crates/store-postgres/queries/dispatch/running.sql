select tenant, count(*) as jobs from leases group by tenant
