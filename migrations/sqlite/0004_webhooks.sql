-- Endpoints of users, who are told of the ends of batches. The secrets sign what they are sent, so they are kept as they are.
create table webhooks (
    id text primary key,
    tenant text not null,
    url text not null,
    kinds text not null,
    secret blob not null,
    previous_secret blob,
    previous_until integer,
    disabled_reason text check (disabled_reason in ('by_owner', 'gone', 'failing')),
    disabled_at integer,
    created_at integer not null
) strict, without rowid;

create index webhooks_by_tenant on webhooks (tenant, id);

-- What is told to whom: one row for each webhook and event.
create table webhook_deliveries (
    number integer primary key autoincrement,
    webhook text not null,
    tenant text not null,
    event text not null,
    kind text not null,
    data text not null,
    state text not null check (state in ('pending', 'delivered', 'failed')),
    -- The fencing number of attempts; it never goes back, as attempts do when the owner asks once more.
    epoch integer not null default 0,
    attempts integer not null default 0,
    -- Null while the webhook is disabled.
    due_at integer,
    status integer,
    error_code text,
    error_message text,
    created_at integer not null,
    ended_at integer,
    unique (webhook, event)
) strict;

create index webhook_deliveries_by_webhook on webhook_deliveries (webhook, number);
create index webhook_deliveries_due on webhook_deliveries (due_at) where state = 'pending';
create index webhook_deliveries_due_by_webhook on webhook_deliveries (webhook, due_at) where state = 'pending';
create index webhook_deliveries_delivered on webhook_deliveries (webhook, ended_at) where state = 'delivered';
create index webhook_deliveries_by_age on webhook_deliveries (created_at);
