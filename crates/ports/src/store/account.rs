//! The double-entry account of a whole store: what was accepted is what ended and what is still to end.

use std::collections::BTreeMap;

use retouch_domain::audit::{BatchFacts, Finding, audit_batch, audit_job};
use retouch_domain::{BatchId, BatchState, Counts, JobId, TenantId};

use super::{Audit, Page, Result};

/// Batches and jobs that are read at once.
const PAGE: u32 = 500;

/// What a tenant has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TenantAccount {
    /// Batches that were opened.
    pub batches: u64,
    /// Their jobs, counted one by one.
    pub jobs: Counts,
}

/// The account of a store.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Account {
    /// By tenant. Jobs of batches that are loading, or were given up, are not accepted and not counted.
    pub tenants: BTreeMap<TenantId, TenantAccount>,
    /// Batches that were looked at.
    pub batches: u64,
    /// Jobs whose records were compared.
    pub jobs: u64,
    /// Contradictions that were found.
    pub findings: u64,
}

/// What the audit comes across.
#[derive(Debug)]
pub enum Seen<'a> {
    /// A batch.
    Batch(&'a BatchFacts),
    /// A contradiction.
    Finding(&'a Finding),
}

impl Account {
    /// Reads everything, page by page, and compares it. `see` is called in the order of the batches' ids.
    pub async fn audit(
        store: &(impl Audit + ?Sized),
        see: &mut (dyn FnMut(Seen<'_>) + Send),
    ) -> Result<Self> {
        let mut account = Self::default();
        let mut after = None;
        loop {
            let batches = store.batch_facts(Page { after, limit: PAGE }).await?;
            for batch in &batches {
                account.add(batch, see);
                account.audit_jobs(store, batch.batch, see).await?;
            }
            let Some(last) = batches.last() else { break };
            after = Some(last.batch);
        }
        for stray in store.strays(PAGE).await? {
            account.found(&Finding { code: "stray", text: stray }, see);
        }
        Ok(account)
    }

    fn add(&mut self, batch: &BatchFacts, see: &mut (dyn FnMut(Seen<'_>) + Send)) {
        self.batches += 1;
        if !matches!(batch.state, BatchState::Loading | BatchState::Failed) {
            let tenant = self.tenants.entry(batch.tenant).or_default();
            tenant.batches += 1;
            tenant.jobs += batch.actual;
        }
        see(Seen::Batch(batch));
        for finding in audit_batch(batch) {
            self.found(&finding, see);
        }
    }

    async fn audit_jobs(
        &mut self,
        store: &(impl Audit + ?Sized),
        batch: BatchId,
        see: &mut (dyn FnMut(Seen<'_>) + Send),
    ) -> Result<()> {
        let mut after: Option<JobId> = None;
        loop {
            let jobs = store.job_facts(batch, Page { after, limit: PAGE }).await?;
            for job in &jobs {
                self.jobs += 1;
                for finding in audit_job(job) {
                    self.found(&finding, see);
                }
            }
            let Some(last) = jobs.last() else { return Ok(()) };
            after = Some(last.job);
        }
    }

    fn found(&mut self, finding: &Finding, see: &mut (dyn FnMut(Seen<'_>) + Send)) {
        self.findings += 1;
        see(Seen::Finding(finding));
    }
}
