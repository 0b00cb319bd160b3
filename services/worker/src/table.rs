//! The runs that this worker holds.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use retouch_domain::JobId;
use retouch_ports::queue::Delivery;
use tokio::sync::Notify;

use crate::run::RunHandle;

/// A run and the deliveries that its end acknowledges.
struct Entry {
    handle: Arc<RunHandle>,
    holds: Vec<Arc<Hold>>,
}

/// The runs by job: a worker never has two of one job. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct Table(Arc<Inner>);

#[derive(Default)]
struct Inner {
    runs: Mutex<HashMap<JobId, Entry>>,
    changed: Notify,
}

/// A delivery that is held until the last of its runs is on record, or for as long as a broker bears it.
pub(crate) struct Hold {
    delivery: Mutex<Option<Delivery>>,
    /// How many runs, and claims under way, wait for it.
    users: AtomicUsize,
    since: Instant,
}

impl Hold {
    /// Held by whoever calls this.
    pub(crate) fn new(delivery: Delivery) -> Arc<Self> {
        let delivery = Mutex::new(Some(delivery));
        Arc::new(Self { delivery, users: AtomicUsize::new(1), since: Instant::now() })
    }

    /// One more holds it.
    pub(crate) fn share(self: &Arc<Self>) -> Arc<Self> {
        self.users.fetch_add(1, Ordering::AcqRel);
        self.clone()
    }

    /// One holds it no longer; the last one acknowledges it.
    pub(crate) async fn release(&self) {
        if self.users.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.acknowledge().await;
        }
    }

    /// Acknowledges it now, whoever holds it.
    async fn acknowledge(&self) {
        let delivery = self.delivery.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(delivery) = delivery {
            acknowledge(delivery).await;
        }
    }
}

/// Acknowledges a delivery. Without success it comes again, which is harmless.
async fn acknowledge(delivery: Delivery) {
    match delivery.ack().await {
        Ok(true) => {}
        Ok(false) => {
            tracing::debug!("the connection that delivered a ticket is gone; the ticket comes again")
        }
        Err(error) => {
            tracing::debug!(error = &error as &dyn std::error::Error, "a ticket cannot be acknowledged");
        }
    }
}

impl Table {
    /// A run begins.
    pub(crate) fn insert(&self, handle: Arc<RunHandle>, hold: &Arc<Hold>) {
        let entry = Entry { holds: vec![hold.share()], handle: handle.clone() };
        self.runs().insert(handle.fence().job, entry);
        self.0.changed.notify_waiters();
    }

    /// A ticket of a job came again: whether a run of this worker has it now, which then holds the new delivery too.
    pub(crate) fn adopt(&self, job: JobId, hold: &Arc<Hold>) -> bool {
        let mut runs = self.runs();
        let Some(entry) = runs.get_mut(&job) else { return false };
        entry.holds.push(hold.share());
        true
    }

    /// A run is over. Answers the deliveries that it held.
    pub(crate) fn remove(&self, handle: &Arc<RunHandle>) -> Vec<Arc<Hold>> {
        let mut runs = self.runs();
        let job = handle.fence().job;
        // A run that was lost may have been followed by another of the same job.
        let holds = match runs.get(&job) {
            Some(entry) if Arc::ptr_eq(&entry.handle, handle) => {
                runs.remove(&job).map(|entry| entry.holds).unwrap_or_default()
            }
            _ => Vec::new(),
        };
        drop(runs);
        self.0.changed.notify_waiters();
        holds
    }

    /// Acknowledges deliveries that are held longer than this; their jobs live on their leases.
    pub(crate) async fn release_older(&self, age: Duration) {
        let old: Vec<Arc<Hold>> = {
            let mut runs = self.runs();
            let holds = runs.values_mut().flat_map(|entry| &entry.holds);
            holds.filter(|hold| hold.since.elapsed() >= age).cloned().collect()
        };
        for hold in old {
            hold.acknowledge().await;
        }
    }

    /// All of them.
    pub(crate) fn handles(&self) -> Vec<Arc<RunHandle>> {
        self.runs().values().map(|entry| entry.handle.clone()).collect()
    }

    /// The run of a job.
    pub(crate) fn handle(&self, job: JobId) -> Option<Arc<RunHandle>> {
        self.runs().get(&job).map(|entry| entry.handle.clone())
    }

    /// Waits until there is none.
    pub(crate) async fn empty(&self) {
        loop {
            let changed = self.0.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if self.runs().is_empty() {
                return;
            }
            changed.await;
        }
    }

    fn runs(&self) -> MutexGuard<'_, HashMap<JobId, Entry>> {
        // Each change is one call of the map.
        self.0.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
