select distinct boot from leases
