-- What a tenant used from one day to another.
create index attempts_by_tenant on attempts (tenant, ended_at);
