-- A batch that is paused with `now`: whatever of it runs is handed over, also what was being claimed just then.
alter table batches add column hand_over boolean not null default false;

-- What a cancel ends beside queued jobs, and what a retry begins with: without them, each part of either reads all of the batch.
create index jobs_held on jobs (batch, id) where state in ('blocked', 'scheduled');
create index jobs_unsuccessful on jobs (batch, id) where state in ('failed', 'canceled', 'expired');
