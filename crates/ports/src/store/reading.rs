//! Looking at batches, jobs and the log.

use async_trait::async_trait;
use retouch_domain::{
    Band, BatchId, BatchState, Cost, Counts, JobError, JobId, JobState, NewJob, Tally, TenantId, Timestamp,
    WorkerBootId,
};
use serde_json::Value;

use super::{Result, VerdictTotals};

/// A batch as it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct BatchRecord {
    /// The batch.
    pub id: BatchId,
    /// Its owner.
    pub tenant: TenantId,
    /// Its band.
    pub band: Band,
    /// What its owner calls it.
    pub label: Option<String>,
    /// What its submitter keeps with it.
    pub meta: Value,
    /// Its state.
    pub state: BatchState,
    /// Its dispatch is stopped.
    pub paused: bool,
    /// It was called off.
    pub cancel_requested: bool,
    /// How often it was opened.
    pub generation: u32,
    /// The verdicts on its rows.
    pub totals: VerdictTotals,
    /// Its counts, folded and since; zero while it is loading.
    pub counts: Counts,
    /// When it was stored.
    pub created_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}

/// A job as it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct JobRecord {
    /// What was submitted; `after` is empty once nothing is waited for.
    pub spec: NewJob,
    /// Its batch.
    pub batch: BatchId,
    /// Its owner.
    pub tenant: TenantId,
    /// Its state.
    pub state: JobState,
    /// Its fencing number.
    pub epoch: u32,
    /// What it has used up.
    pub tally: Tally,
    /// When it was marked for a ticket.
    pub dispatched_at: Option<Timestamp>,
    /// Its result.
    pub output: Option<Value>,
    /// Why it failed.
    pub error: Option<JobError>,
    /// When it was stored.
    pub created_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Its run.
    pub run: Option<RunRecord>,
}

/// A run that goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunRecord {
    /// Who runs it.
    pub boot: WorkerBootId,
    /// Since when.
    pub started_at: Timestamp,
    /// Until when without a renewal.
    pub expires_at: Timestamp,
    /// Steps done.
    pub step: u32,
    /// Steps in all; 0 if not known.
    pub steps: u32,
    /// Somebody asked to cancel it.
    pub cancel_requested: bool,
}

/// A run that ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptRecord {
    /// Its fencing number.
    pub epoch: u32,
    /// Who ran it.
    pub boot: WorkerBootId,
    /// When it started.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Timestamp,
    /// `succeeded`, `canceled`, or the code of a [`Loss`](retouch_domain::Loss).
    pub outcome: String,
    /// Whether it counts against the job.
    pub charged: bool,
    /// Why it failed.
    pub error: Option<JobError>,
    /// What it cost.
    pub cost: Cost,
}

/// A place in the log. Later entries are greater, and nothing is ever added before a place that was handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Cursor {
    /// The transaction; 0 where the database has one writer.
    pub transaction: u64,
    /// The entry.
    pub entry: u64,
}

/// An entry of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRecord {
    /// Its place.
    pub cursor: Cursor,
    /// Whose it is.
    pub tenant: TenantId,
    /// The batch.
    pub batch: BatchId,
    /// The job; none if it is of the batch itself.
    pub job: Option<JobId>,
    /// What happened: the code of an [`Event`](retouch_domain::Event), or `batch_opened`, `batch_over`, `batch_reopened`, `batch_paused`,
    /// `batch_resumed`, `batch_moved`, `batch_cancel_requested`.
    pub event: String,
    /// The job's epoch, or the batch's generation, afterwards.
    pub epoch: u32,
    /// The state of the job or batch afterwards.
    pub state: String,
    /// When.
    pub at: Timestamp,
}

/// Whose entries to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventScope {
    /// Everybody's: for the services themselves.
    All,
    /// One tenant's.
    Tenant(TenantId),
    /// One batch's.
    Batch(TenantId, BatchId),
}

/// A part of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page<Id> {
    /// What comes after this.
    pub after: Option<Id>,
    /// At most so many.
    pub limit: u32,
}

/// Which of a tenant's batches, and in which order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BatchFilter<'a> {
    /// Only those in this state.
    pub state: Option<BatchState>,
    /// Only those that are called so.
    pub label: Option<&'a str>,
    /// From the newest to the oldest, instead of from the oldest.
    pub newest_first: bool,
}

/// What the runs of a tenant that ended on one day were and took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UsageDay {
    /// The day's beginning, in UTC.
    pub day: Timestamp,
    /// Runs.
    pub runs: u64,
    /// Those that ended with a result: as many jobs as succeeded.
    pub succeeded: u64,
    /// The files that these list in their results.
    pub files: u64,
    /// What all runs cost together.
    pub cost: Cost,
}

/// For whoever looks. `None`, or an empty list, if the tenant has no such batch or job.
#[async_trait]
pub trait Reading: Send + Sync {
    /// The database's time.
    async fn now(&self) -> Result<Timestamp>;

    /// A batch.
    async fn batch(&self, tenant: TenantId, batch: BatchId) -> Result<Option<BatchRecord>>;

    /// A tenant's batches.
    async fn batches(
        &self,
        tenant: TenantId,
        filter: BatchFilter<'_>,
        page: Page<BatchId>,
    ) -> Result<Vec<BatchRecord>>;

    /// A job.
    async fn job(&self, tenant: TenantId, job: JobId) -> Result<Option<JobRecord>>;

    /// A batch's jobs in order of their ids, those in one state or all.
    async fn jobs(
        &self,
        tenant: TenantId,
        batch: BatchId,
        state: Option<JobState>,
        page: Page<JobId>,
    ) -> Result<Vec<JobRecord>>;

    /// A batch's jobs that are over in one of these states, each with the entry of the log that says so, in the order of the
    /// log after a place. Like [`Self::events`] it leaves out what a late commit could still overtake.
    async fn endings(
        &self,
        tenant: TenantId,
        batch: BatchId,
        states: &[JobState],
        after: Cursor,
        limit: u32,
    ) -> Result<Vec<(Cursor, JobRecord)>>;

    /// A job's ended runs, the oldest first.
    async fn attempts(&self, tenant: TenantId, job: JobId) -> Result<Vec<AttemptRecord>>;

    /// What was logged after a place, and can no longer be overtaken by a late commit.
    async fn events(&self, scope: EventScope, after: Cursor, limit: u32) -> Result<Vec<EventRecord>>;

    /// A job's log.
    async fn job_events(&self, tenant: TenantId, job: JobId) -> Result<Vec<EventRecord>>;

    /// What the runs that ended from `from` on and before `to` were and took, for each day that has some, of the batches
    /// that are kept.
    async fn usage(&self, tenant: TenantId, from: Timestamp, to: Timestamp) -> Result<Vec<UsageDay>>;
}
