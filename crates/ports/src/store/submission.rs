//! Storing batches and jobs.

use std::time::Duration;

use async_trait::async_trait;
use retouch_domain::{BatchId, InvalidJob, JobId, NewBatch, NewJob, TenantId};
use serde_json::Value;

use super::Result;

/// What makes a request happen once, and its answer be given again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idempotency {
    /// The caller's key, unique within the tenant.
    pub key: String,
    /// A digest of the request: the same key with another digest is a conflict.
    pub fingerprint: String,
    /// What the caller was told; made before the call, as the ids are the caller's.
    pub answer: String,
}

/// What became of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is stored.
    New,
    /// The tenant has a job with this key.
    Duplicate(JobId),
    /// It cannot be accepted; nothing of it is stored.
    Invalid(InvalidJob),
}

/// What became of a submission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Submitted {
    /// Stored now, with a verdict for each job.
    New(Vec<Verdict>),
    /// Stored before under the same idempotency key: the answer given then.
    Replayed(String),
}

/// How many rows of a batch got which verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct VerdictTotals {
    /// Stored.
    pub new: u64,
    /// Known by their key.
    pub duplicate: u64,
    /// Refused.
    pub invalid: u64,
}

/// A part of a bulk submission: at most [`MAX_ROWS`](retouch_domain::spec::MAX_ROWS) jobs.
#[derive(Debug, Clone, Copy)]
pub struct LoadPart<'a> {
    /// Where the part begins in the spooled rows: what [`Loading::offset`] says now.
    pub from: u64,
    /// Where the next part begins.
    pub to: u64,
    /// The rows that could be read.
    pub jobs: &'a [NewJob],
    /// How many rows could not.
    pub unreadable: u64,
}

/// A batch whose rows are being stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Loading {
    /// The batch.
    pub batch: BatchId,
    /// Its owner.
    pub tenant: TenantId,
    /// Up to where its spooled rows are stored.
    pub offset: u64,
    /// The verdicts so far.
    pub totals: VerdictTotals,
    /// What the submitter keeps with it.
    pub meta: Value,
}

/// What became of the opening of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opened {
    /// It is open now.
    Now(VerdictTotals),
    /// The idempotency key was used before: the answer given then. The batch was not opened.
    Replayed(String),
}

/// For whoever submits.
#[async_trait]
pub trait Submission: Send + Sync {
    /// Stores a batch, at most [`MAX_ROWS`](retouch_domain::spec::MAX_ROWS) jobs and the idempotency record, and opens it.
    ///
    /// # Errors
    /// `Conflict`: the key was used for another request, or the batch exists. `Invalid`: the batch's own fields, or too
    /// many jobs. A single bad job is a verdict, not an error.
    async fn submit(
        &self,
        batch: &NewBatch,
        jobs: &[NewJob],
        once: Option<&Idempotency>,
    ) -> Result<Submitted>;

    /// Stores a batch in state `loading`. The same batch again is no error, so that a crashed submitter goes on.
    ///
    /// # Errors
    /// `Conflict` if the batch exists and is not this tenant's or not loading.
    async fn begin_loading(&self, batch: &NewBatch) -> Result<Loading>;

    /// Stores a part of a loading batch; nothing of it is dispatched or counted before [`Self::open`].
    ///
    /// # Errors
    /// `Conflict` if the part does not begin where the last one ended, so that no row is stored twice; `NotFound`.
    async fn load(&self, tenant: TenantId, batch: BatchId, part: LoadPart<'_>) -> Result<Vec<Verdict>>;

    /// Opens a loading batch: its jobs are counted and may be dispatched. One small transaction.
    ///
    /// # Errors
    /// `Conflict` if it is not loading, or the key was used for another request; `NotFound`.
    async fn open(&self, tenant: TenantId, batch: BatchId, once: Option<&Idempotency>) -> Result<Opened>;

    /// Batches that are loading and were not touched for this long, the stalest first.
    async fn stale_loadings(&self, idle: Duration) -> Result<Vec<Loading>>;

    /// Gives up a loading batch: its rows go, in several transactions, and it is `failed`. What waits for it or for them fails.
    ///
    /// # Errors
    /// `Conflict` if it is neither loading nor failed; `NotFound`.
    async fn abandon(&self, tenant: TenantId, batch: BatchId) -> Result<()>;

    /// What was answered under an idempotency key.
    async fn answer(&self, tenant: TenantId, key: &str) -> Result<Option<Idempotency>>;
}
