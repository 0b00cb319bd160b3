//! Files of runs without result, and what is kept for a while only.
//!
//! Runs are found through the store, never by listing the blob store; only the folder of one known run or batch is listed.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::try_join_all;
use retouch_ports::files::{batch_folder, run_folder};
use retouch_ports::{BlobKey, BlobStore, JobStore, PortError, PortErrorKind};

use super::{ROUND, Reconciler};
use crate::Options;

/// How many files are listed and then deleted together.
const FILES: usize = 100;
/// How many batches one round takes.
const BATCHES: u32 = 10;

/// Deletes the files of runs that ended without result. A run that was lost while its worker lives may write after that;
/// the end of its batch's time takes those files too.
pub struct Orphans {
    store: Arc<dyn JobStore>,
    blobs: Arc<dyn BlobStore>,
}

impl Orphans {
    /// The reconciler.
    pub fn new(store: Arc<dyn JobStore>, blobs: Arc<dyn BlobStore>) -> Self {
        Self { store, blobs }
    }
}

#[async_trait]
impl Reconciler for Orphans {
    fn name(&self) -> &'static str {
        "orphans"
    }

    async fn round(&mut self) -> Result<bool, PortError> {
        let orphans = self.store.orphans(ROUND).await?;
        if orphans.is_empty() {
            return Ok(false);
        }
        let mut swept = Vec::with_capacity(orphans.len());
        for orphan in &orphans {
            delete_folder(&*self.blobs, &run_folder(orphan.tenant, orphan.batch, orphan.fence)).await?;
            swept.push(orphan.fence);
        }
        self.store.swept(&swept).await?;
        Ok(orphans.len() >= ROUND as usize)
    }
}

/// Deletes ended batches, answers, deliveries and submissions whose time is over.
pub struct Retention {
    store: Arc<dyn JobStore>,
    blobs: Arc<dyn BlobStore>,
    options: Options,
}

impl Retention {
    /// The reconciler.
    pub fn new(store: Arc<dyn JobStore>, blobs: Arc<dyn BlobStore>, options: &Options) -> Self {
        Self { store, blobs, options: options.clone() }
    }

    /// Whether there may be more.
    async fn batches(&self) -> Result<bool, PortError> {
        let Some(age) = self.options.keep_batches else { return Ok(false) };
        let ended = self.store.ended_batches(age, BATCHES).await?;
        for (tenant, batch) in &ended {
            delete_folder(&*self.blobs, &batch_folder(*tenant, *batch)).await?;
            gone_or_reopened(self.store.delete_batch(*tenant, *batch).await)?;
        }
        Ok(ended.len() >= BATCHES as usize)
    }

    async fn loadings(&self) -> Result<(), PortError> {
        for loading in self.store.stale_loadings(self.options.keep_loading).await? {
            delete_folder(&*self.blobs, &batch_folder(loading.tenant, loading.batch)).await?;
            gone_or_reopened(self.store.abandon(loading.tenant, loading.batch).await)?;
        }
        Ok(())
    }
}

#[async_trait]
impl Reconciler for Retention {
    fn name(&self) -> &'static str {
        "retention"
    }

    async fn round(&mut self) -> Result<bool, PortError> {
        let more = self.batches().await?;
        self.loadings().await?;
        let forgotten = self.store.forget_answers(self.options.keep_answers, ROUND).await?;
        let deliveries = self.store.forget_deliveries(self.options.keep_deliveries, ROUND).await?;
        Ok(more || forgotten.max(deliveries) >= u64::from(ROUND))
    }
}

/// Another scheduler, or a user, may have been there first.
fn gone_or_reopened(outcome: Result<(), PortError>) -> Result<(), PortError> {
    match outcome {
        Err(error) if matches!(error.kind(), PortErrorKind::NotFound | PortErrorKind::Conflict) => Ok(()),
        other => other,
    }
}

async fn delete_folder(blobs: &dyn BlobStore, folder: &str) -> Result<(), PortError> {
    let mut after: Option<String> = None;
    loop {
        let listed = blobs.list(folder, after.as_deref(), FILES).await?;
        // What retouch cannot name is not its own.
        let keys: Vec<BlobKey> = listed.iter().filter_map(|blob| blob.key.parse().ok()).collect();
        try_join_all(keys.iter().map(|key| blobs.delete(key))).await?;
        match listed.last() {
            Some(last) if listed.len() >= FILES => after = Some(last.key.clone()),
            _ => return Ok(()),
        }
    }
}
