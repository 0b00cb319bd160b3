-- The keys of the API. Of each key only a keyed digest is stored.
create table keys (
    id text primary key,
    tenant text not null,
    name text not null,
    scope text not null check (scope in ('read', 'write', 'admin')),
    digest blob not null unique,
    created_at integer not null,
    expires_at integer,
    revoked_at integer
) strict, without rowid;

create index keys_by_tenant on keys (tenant, id);
