-- The job store. The same tables and columns as in ../sqlite; moments are microseconds since 1970-01-01 UTC.

-- The database's time, the same throughout a statement, so that an index can be searched with it.
create function now_us() returns bigint language sql stable parallel safe
as $$ select (extract(epoch from statement_timestamp()) * 1000000)::bigint $$;

-- Tenants with a share or limit of their own; the others weigh 1 and have no limit.
create table tenants (
    id uuid primary key,
    weight integer not null check (weight >= 1),
    max_running integer
);

-- Band, pause and cancel are the batch's: changing them touches one row, however many jobs it has.
create table batches (
    id uuid primary key,
    tenant uuid not null,
    band text not null check (band in ('interactive', 'standard', 'bulk')),
    label text,
    meta json not null,
    state text not null check (state in ('loading', 'open', 'completed', 'canceled', 'failed')),
    paused boolean not null default false,
    cancel_requested boolean not null default false,
    generation integer not null default 1,
    created_at bigint not null,
    ended_at bigint,
    -- Of a loading batch: up to where its spooled rows are stored, and when it was touched last.
    load_offset bigint not null default 0,
    touched_at bigint not null,
    rows_new bigint not null default 0,
    rows_duplicate bigint not null default 0,
    rows_invalid bigint not null default 0,
    -- Folded counts; what batch_deltas holds comes on top.
    total bigint not null default 0,
    succeeded bigint not null default 0,
    failed bigint not null default 0,
    canceled bigint not null default 0,
    expired bigint not null default 0
);

create index batches_by_tenant on batches (tenant, id);
create index batches_open on batches (band, tenant, id) where state = 'open' and not paused and not cancel_requested;
create index batches_canceling on batches (id) where state = 'open' and cancel_requested;
create index batches_loading on batches (touched_at) where state = 'loading';
create index batches_ended on batches (ended_at) where state in ('completed', 'canceled', 'failed');

create table jobs (
    id uuid primary key,
    batch uuid not null,
    tenant uuid not null,
    key text,
    kind text not null,
    version integer not null,
    payload json not null,
    inputs json not null,
    pool text not null,
    shape text not null,
    cost_ms integer not null,
    run_at bigint,
    deadline bigint,
    timeout_ms bigint not null,
    max_attempts integer not null,
    backoff_base_ms bigint not null,
    backoff_cap_ms bigint not null,
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
    suspect boolean not null default false,
    dispatched_at bigint,
    output json,
    error_code text,
    error_message text,
    created_at bigint not null,
    ended_at bigint
);

create unique index jobs_key on jobs (tenant, key) where key is not null;
create index jobs_by_batch on jobs (batch, id);
create index jobs_ready on jobs (batch, pool, id) where state = 'queued' and dispatched_at is null;
create index jobs_dispatched on jobs (pool, dispatched_at) where state = 'queued' and dispatched_at is not null;
create index jobs_scheduled on jobs (run_at) where state = 'scheduled';
create index jobs_deadline on jobs (deadline)
where deadline is not null and state in ('blocked', 'queued', 'scheduled');

-- What a job still waits for; a row goes when the job is unblocked.
create table dependencies (
    job uuid not null,
    on_job uuid,
    on_batch uuid,
    check ((on_job is null) <> (on_batch is null))
);

create index dependencies_of_job on dependencies (job);
create index dependencies_on_job on dependencies (on_job) where on_job is not null;
create index dependencies_on_batch on dependencies (on_batch) where on_batch is not null;

-- A row for each running job: what heartbeats write, narrow and without an index on what they change.
create table leases (
    job uuid primary key,
    epoch integer not null,
    tenant uuid not null,
    batch uuid not null,
    boot uuid not null,
    alone boolean not null,
    on_device boolean not null default false,
    -- 0 go on, 1 hand over, 2 cancel.
    signal smallint not null default 0,
    step integer not null default 0,
    steps integer not null default 0,
    started_at bigint not null,
    expires_at bigint not null,
    timeout_at bigint not null
);

-- Runs that ended.
create table attempts (
    job uuid not null,
    epoch integer not null,
    tenant uuid not null,
    batch uuid not null,
    boot uuid not null,
    started_at bigint not null,
    ended_at bigint not null,
    outcome text not null,
    charged boolean not null,
    error_code text,
    error_message text,
    device_ms bigint not null,
    forwards bigint not null,
    load_ms bigint not null,
    -- The files of a run without result are gone.
    swept boolean not null default false,
    primary key (job, epoch)
);

create index attempts_by_batch on attempts (batch);
create index attempts_orphaned on attempts (ended_at) where outcome <> 'succeeded' and not swept;

-- The states that workers handed over.
create table exports (
    job uuid primary key,
    state bytea not null
);

-- A reader may go no further than the oldest transaction that is still open: an id is drawn before its transaction
-- commits. Hence the transaction leads the key.
create table events (
    xid xid8 not null default pg_current_xact_id(),
    id bigint generated always as identity,
    tenant uuid not null,
    batch uuid not null,
    job uuid,
    event text not null,
    epoch integer not null,
    state text not null,
    at bigint not null,
    primary key (xid, id)
);

create index events_by_batch on events (batch, xid, id);
create index events_by_job on events (job, id) where job is not null;

-- Changes of a batch's counts, until they are folded.
create table batch_deltas (
    id bigint generated always as identity primary key,
    batch uuid not null,
    total bigint not null,
    succeeded bigint not null,
    failed bigint not null,
    canceled bigint not null,
    expired bigint not null
);

create index batch_deltas_by_batch on batch_deltas (batch);

create table answers (
    tenant uuid not null,
    key text not null,
    fingerprint text not null,
    answer text not null,
    created_at bigint not null,
    primary key (tenant, key)
);

create index answers_by_age on answers (created_at);

-- The accounts of dispatch: what a band is owed and whose turn it is; what a tenant may still use in its turn.
create table lanes (
    pool text not null,
    band text not null,
    owed integer not null,
    turn uuid,
    primary key (pool, band)
);

create table shares (
    pool text not null,
    band text not null,
    tenant uuid not null,
    deficit bigint not null,
    primary key (pool, band, tenant)
);

-- A heartbeat changes no indexed column, so that with room on the page it is a heap-only update.
alter table leases set (
    fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500,
    autovacuum_vacuum_cost_delay = 0
);
-- Folding updates counts, which are in no index either.
alter table batches set (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02);
-- Rows come and go at the rate of jobs.
alter table batch_deltas set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
alter table jobs set (autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02);
