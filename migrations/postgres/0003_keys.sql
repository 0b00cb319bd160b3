-- The keys of the API. Of each key only a keyed digest is stored.
create table keys (
    id uuid primary key,
    tenant uuid not null,
    name text not null,
    scope text not null check (scope in ('read', 'write', 'admin')),
    digest bytea not null unique,
    created_at bigint not null,
    expires_at bigint,
    revoked_at bigint
);

create index keys_by_tenant on keys (tenant, id);
