//! What the scheduler's reconcilers do. Each is idempotent, takes at most `limit` rows, and answers what it did: a full
//! answer means that there may be more.

use std::time::Duration;

use async_trait::async_trait;
use retouch_domain::{BatchId, BatchState, JobId, TenantId, WorkerBootId};

use super::{Fence, Result};

/// A batch whose last job ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchOver {
    /// The batch.
    pub batch: BatchId,
    /// Its owner.
    pub tenant: TenantId,
    /// How it ended.
    pub state: BatchState,
    /// Which time it ended: a retry opens it again.
    pub generation: u32,
}

/// A run without result, whose files are of no use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Orphan {
    /// Whose it is.
    pub tenant: TenantId,
    /// Its batch.
    pub batch: BatchId,
    /// The run.
    pub fence: Fence,
}

/// For the scheduler.
#[async_trait]
pub trait Upkeep: Send + Sync {
    /// Queues scheduled jobs whose time has come.
    async fn release_due(&self, limit: u32) -> Result<u64>;

    /// The workers that hold leases.
    async fn holders(&self) -> Result<Vec<WorkerBootId>>;

    /// Ends runs whose lease has expired, whose holder is among `dead`, or which have run a minute longer than they may.
    /// The runs of the dead have crashed; a lease that merely expired is lost. `random` is uniform in 0..1.
    async fn reap_leases(&self, dead: &[WorkerBootId], limit: u32, random: f64) -> Result<Vec<JobId>>;

    /// Ends waiting jobs whose deadline has passed.
    async fn expire_deadlines(&self, limit: u32) -> Result<u64>;

    /// Cancels waiting jobs of batches that were called off.
    async fn finish_cancels(&self, limit: u32) -> Result<u64>;

    /// Folds the changes of counts into their batches, ends batches whose jobs are all over, and lets go on what
    /// waited for them. `limit` counts batches.
    async fn fold(&self, limit: u32) -> Result<Vec<BatchOver>>;

    /// Runs without result whose files were not swept yet.
    async fn orphans(&self, limit: u32) -> Result<Vec<Orphan>>;

    /// The files of these runs are gone.
    async fn swept(&self, runs: &[Fence]) -> Result<()>;

    /// Batches that ended this long ago, the oldest first; what is stored of them may go.
    async fn ended_batches(&self, age: Duration, limit: u32) -> Result<Vec<(TenantId, BatchId)>>;

    /// Deletes an ended batch with everything of it, in several transactions, during which it is `failed` and nothing of it can
    /// be retried. The caller has swept its files.
    ///
    /// # Errors
    /// `Conflict` if the batch is not over; `NotFound`.
    async fn delete_batch(&self, tenant: TenantId, batch: BatchId) -> Result<()>;

    /// Forgets answers older than this. Answers how many.
    async fn forget_answers(&self, age: Duration, limit: u32) -> Result<u64>;
}
