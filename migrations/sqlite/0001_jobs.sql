-- The job store. The same tables and columns as in ../postgres; moments are microseconds since 1970-01-01 UTC.

-- Tenants with a share or limit of their own; the others weigh 1 and have no limit.
create table tenants (
    id text primary key,
    weight integer not null check (weight >= 1),
    max_running integer
) strict, without rowid;

-- Band, pause and cancel are the batch's: changing them touches one row, however many jobs it has.
create table batches (
    id text primary key,
    tenant text not null,
    band text not null check (band in ('interactive', 'standard', 'bulk')),
    label text,
    meta text not null,
    state text not null check (state in ('loading', 'open', 'completed', 'canceled', 'failed')),
    paused integer not null default 0,
    cancel_requested integer not null default 0,
    generation integer not null default 1,
    created_at integer not null,
    ended_at integer,
    -- Of a loading batch: up to where its spooled rows are stored, and when it was touched last.
    load_offset integer not null default 0,
    touched_at integer not null,
    rows_new integer not null default 0,
    rows_duplicate integer not null default 0,
    rows_invalid integer not null default 0,
    -- Folded counts; what batch_deltas holds comes on top.
    total integer not null default 0,
    succeeded integer not null default 0,
    failed integer not null default 0,
    canceled integer not null default 0,
    expired integer not null default 0
) strict, without rowid;

create index batches_by_tenant on batches (tenant, id);
create index batches_open on batches (band, tenant, id) where state = 'open' and paused = 0 and cancel_requested = 0;
create index batches_canceling on batches (id) where state = 'open' and cancel_requested = 1;
create index batches_loading on batches (touched_at) where state = 'loading';
create index batches_ended on batches (ended_at) where state in ('completed', 'canceled', 'failed');

create table jobs (
    id text primary key,
    batch text not null,
    tenant text not null,
    key text,
    kind text not null,
    version integer not null,
    payload text not null,
    inputs text not null,
    pool text not null,
    shape text not null,
    cost_ms integer not null,
    run_at integer,
    deadline integer,
    timeout_ms integer not null,
    max_attempts integer not null,
    backoff_base_ms integer not null,
    backoff_cap_ms integer not null,
    -- The state that it was stored in: where the replay of its events begins.
    born text not null,
    state text not null check (
        state in ('blocked', 'queued', 'scheduled', 'running', 'succeeded', 'failed', 'canceled', 'expired')
    ),
    epoch integer not null default 0,
    starts integer not null default 0,
    failures integer not null default 0,
    crashes integer not null default 0,
    out_of_memory integer not null default 0,
    parkings integer not null default 0,
    suspect integer not null default 0,
    dispatched_at integer,
    output text,
    error_code text,
    error_message text,
    created_at integer not null,
    ended_at integer
) strict, without rowid;

create unique index jobs_key on jobs (tenant, key) where key is not null;
create index jobs_by_batch on jobs (batch, id);
create index jobs_ready on jobs (batch, pool, id) where state = 'queued' and dispatched_at is null;
create index jobs_dispatched on jobs (pool, dispatched_at) where state = 'queued' and dispatched_at is not null;
create index jobs_scheduled on jobs (run_at) where state = 'scheduled';
create index jobs_deadline on jobs (deadline)
where deadline is not null and state in ('blocked', 'queued', 'scheduled');

-- What a job still waits for; a row goes when the job is unblocked.
create table dependencies (
    job text not null,
    on_job text,
    on_batch text,
    check ((on_job is null) <> (on_batch is null))
) strict;

create index dependencies_of_job on dependencies (job);
create index dependencies_on_job on dependencies (on_job) where on_job is not null;
create index dependencies_on_batch on dependencies (on_batch) where on_batch is not null;

-- A row for each running job: what heartbeats write, narrow and without an index on what they change.
create table leases (
    job text primary key,
    epoch integer not null,
    tenant text not null,
    batch text not null,
    boot text not null,
    alone integer not null,
    on_device integer not null default 0,
    -- 0 go on, 1 hand over, 2 cancel.
    signal integer not null default 0,
    step integer not null default 0,
    steps integer not null default 0,
    started_at integer not null,
    expires_at integer not null,
    timeout_at integer not null
) strict, without rowid;

-- Runs that ended.
create table attempts (
    job text not null,
    epoch integer not null,
    tenant text not null,
    batch text not null,
    boot text not null,
    started_at integer not null,
    ended_at integer not null,
    outcome text not null,
    charged integer not null,
    error_code text,
    error_message text,
    device_ms integer not null,
    forwards integer not null,
    load_ms integer not null,
    -- The files of a run without result are gone.
    swept integer not null default 0,
    primary key (job, epoch)
) strict, without rowid;

create index attempts_by_batch on attempts (batch);
create index attempts_orphaned on attempts (ended_at) where outcome <> 'succeeded' and swept = 0;

-- The states that workers handed over.
create table exports (
    job text primary key,
    state blob not null
) strict;

create table events (
    id integer primary key autoincrement,
    tenant text not null,
    batch text not null,
    job text,
    event text not null,
    epoch integer not null,
    state text not null,
    at integer not null
) strict;

create index events_by_batch on events (batch, id);
create index events_by_job on events (job, id) where job is not null;

-- Changes of a batch's counts, until they are folded.
create table batch_deltas (
    id integer primary key autoincrement,
    batch text not null,
    total integer not null,
    succeeded integer not null,
    failed integer not null,
    canceled integer not null,
    expired integer not null
) strict;

create index batch_deltas_by_batch on batch_deltas (batch);

create table answers (
    tenant text not null,
    key text not null,
    fingerprint text not null,
    answer text not null,
    created_at integer not null,
    primary key (tenant, key)
) strict, without rowid;

create index answers_by_age on answers (created_at);

-- The accounts of dispatch: what a band is owed and whose turn it is; what a tenant may still use in its turn.
create table lanes (
    pool text not null,
    band text not null,
    owed integer not null,
    turn text,
    primary key (pool, band)
) strict, without rowid;

create table shares (
    pool text not null,
    band text not null,
    tenant text not null,
    deficit integer not null,
    primary key (pool, band, tenant)
) strict, without rowid;
