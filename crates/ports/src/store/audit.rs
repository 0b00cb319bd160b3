//! What [`retouch_domain::audit`] judges. Each answer is read in one snapshot.

use async_trait::async_trait;
use retouch_domain::audit::{BatchFacts, JobFacts};
use retouch_domain::{BatchId, JobId};

use super::{Page, Result};

/// For the audit.
#[async_trait]
pub trait Audit: Send + Sync {
    /// Facts of batches in order of their ids.
    async fn batch_facts(&self, page: Page<BatchId>) -> Result<Vec<BatchFacts>>;

    /// Facts of a batch's jobs in order of their ids.
    async fn job_facts(&self, batch: BatchId, page: Page<JobId>) -> Result<Vec<JobFacts>>;

    /// Rows that belong to no job: leases, attempts, events, dependencies, exports and counts of jobs or batches that are not
    /// there, each by its table and id.
    async fn strays(&self, limit: u32) -> Result<Vec<String>>;
}
