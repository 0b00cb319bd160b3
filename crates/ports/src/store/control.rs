//! What users and operators do to jobs, batches and tenants.

use async_trait::async_trait;
use retouch_domain::{Band, BatchId, JobId, JobState, TenantId};

use super::Result;

/// What became of a cancel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Canceled {
    /// It is canceled.
    Now,
    /// It runs; its worker is told.
    Requested,
    /// It was over before, in this state.
    TooLate(JobState),
}

/// What became of a retry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retried {
    /// It waits for its next run in this state.
    Now(JobState),
    /// A job in this state cannot be retried.
    Refused(JobState),
}

/// A tenant's share and limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TenantLimits {
    /// Its share against other tenants; at least 1.
    pub weight: u32,
    /// How many of its jobs may be dispatched or running at once.
    pub max_running: Option<u32>,
}

impl Default for TenantLimits {
    fn default() -> Self {
        Self { weight: 1, max_running: None }
    }
}

/// For users and operators. `NotFound` if the tenant has no such job or batch.
#[async_trait]
pub trait Control: Send + Sync {
    /// Cancels a job: at once if it waits, through its worker if it runs.
    async fn cancel_job(&self, tenant: TenantId, job: JobId) -> Result<Canceled>;

    /// Cancels what is not over of a batch. Nothing of it starts from now on; its waiting jobs are canceled in several
    /// transactions, which [`Upkeep::finish_cancels`](super::Upkeep::finish_cancels) completes after a crash. Answers how many
    /// running jobs were told.
    ///
    /// # Errors
    /// `Conflict` if the batch is over.
    async fn cancel_batch(&self, tenant: TenantId, batch: BatchId) -> Result<u64>;

    /// Cancels what waits of a batch, in several transactions; what runs goes on, and the batch is not called off.
    ///
    /// # Errors
    /// `Conflict` if the batch is over.
    async fn cancel_waiting_jobs(&self, tenant: TenantId, batch: BatchId) -> Result<()>;

    /// Gives a failed, canceled or expired job another run, without the deadline it missed; reopens its batch.
    ///
    /// # Errors
    /// `Conflict` if its batch is loading, is being canceled or deleted, or if it waits for something that ended without
    /// success: that is retried first.
    async fn retry_job(&self, tenant: TenantId, job: JobId) -> Result<Retried>;

    /// Gives every failed, canceled or expired job of a batch another run, in several transactions, each job after those that
    /// it waits for; what waits for a failure elsewhere stays. If the first parts end before the last is retried, the batch
    /// is over more than once, each time in a generation of its own. Answers how many.
    ///
    /// # Errors
    /// `Conflict` if the batch is loading, being canceled or deleted.
    async fn retry_batch(&self, tenant: TenantId, batch: BatchId) -> Result<u64>;

    /// Stops the dispatch of a batch; running jobs finish, or with `now` are handed over, those that are being claimed too.
    async fn pause(&self, tenant: TenantId, batch: BatchId, now: bool) -> Result<()>;

    /// Lets a paused batch go on.
    async fn resume(&self, tenant: TenantId, batch: BatchId) -> Result<()>;

    /// Moves a batch to another band; tickets that are out are void.
    async fn move_to_band(&self, tenant: TenantId, batch: BatchId, band: Band) -> Result<()>;

    /// Sets a tenant's share and limit; a tenant without has [`TenantLimits::default`].
    ///
    /// # Errors
    /// `Invalid` if the weight is 0.
    async fn set_limits(&self, tenant: TenantId, limits: TenantLimits) -> Result<()>;
}
