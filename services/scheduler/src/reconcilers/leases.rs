//! Runs whose worker is dead, frozen or hung.
//!
//! A worker is dead when its liveness lock was found free and is still free some time later: a lock is also free for a
//! moment after the database was restarted, until its worker takes it again. A frozen worker holds its lock, and its leases
//! expire.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use retouch_domain::{Timestamp, WorkerBootId};
use retouch_ports::{Clock, Ids, JobStore, PortError};
use tokio::sync::Notify;

use super::{ROUND, Reconciler};

/// A longer pause than this between two rounds means that this machine slept: then its workers beat first.
const JUMP: Duration = Duration::from_secs(15);

/// The reconciler.
pub struct Leases {
    store: Arc<dyn JobStore>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    dispatch: Arc<Notify>,
    dead_after: Duration,
    /// Workers whose lock is free, since when.
    silent: HashMap<WorkerBootId, Timestamp>,
    last: Option<Timestamp>,
}

impl Leases {
    /// A worker is dead when its lock has been free for `dead_after`. Nudges `dispatch` when jobs are free again.
    pub fn new(
        store: Arc<dyn JobStore>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn Ids>,
        dead_after: Duration,
        dispatch: Arc<Notify>,
    ) -> Self {
        Self { store, clock, ids, dispatch, dead_after, silent: HashMap::new(), last: None }
    }

    /// Those holders of leases that are dead; none if nobody holds any.
    async fn dead(&mut self) -> Result<Option<Vec<WorkerBootId>>, PortError> {
        let holders = self.store.holders().await?;
        if holders.is_empty() {
            return Ok(None);
        }
        self.silent.retain(|boot, _| holders.contains(boot));
        let mut dead = Vec::new();
        for boot in holders {
            if self.store.is_alive(boot).await? {
                self.silent.remove(&boot);
                continue;
            }
            let now = self.clock.now();
            let since = *self.silent.entry(boot).or_insert(now);
            if now.since(since) >= self.dead_after {
                dead.push(boot);
            }
        }
        Ok(Some(dead))
    }

    fn slept(&mut self) -> bool {
        let now = self.clock.now();
        let last = self.last.replace(now);
        last.is_some_and(|last| now.since(last) > JUMP || last.since(now) > JUMP)
    }
}

#[async_trait]
impl Reconciler for Leases {
    fn name(&self) -> &'static str {
        "leases"
    }

    async fn round(&mut self) -> Result<bool, PortError> {
        if self.slept() {
            self.silent.clear();
            return Ok(false);
        }
        let dead = match self.dead().await {
            Ok(Some(dead)) => dead,
            Ok(None) => return Ok(false),
            Err(error) => {
                // The store may have been restarted: what was seen before says nothing any more.
                self.silent.clear();
                return Err(error);
            }
        };
        let reaped = self.store.reap_leases(&dead, ROUND, self.ids.unit()).await?;
        if !reaped.is_empty() {
            tracing::warn!(jobs = reaped.len(), ?dead, "runs were lost");
            self.dispatch.notify_one();
        }
        Ok(reaped.len() >= ROUND as usize)
    }
}
