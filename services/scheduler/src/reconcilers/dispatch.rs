//! Fills the window of every pool that has work.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use retouch_domain::{Pool, Timestamp};
use retouch_ports::{Clock, Dispatcher, JobStore, PortError};

use super::Reconciler;

/// How often pools are looked for that nobody nudged for.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// The pools that a scheduler looks after. Clones share them.
#[derive(Clone)]
pub struct Pools(Arc<Mutex<State>>);

struct State {
    known: BTreeSet<Pool>,
    /// To be dispatched first.
    nudged: BTreeSet<Pool>,
}

impl Pools {
    /// These to begin with.
    pub fn new(known: impl IntoIterator<Item = Pool>) -> Self {
        let state = State { known: known.into_iter().collect(), nudged: BTreeSet::new() };
        Self(Arc::new(Mutex::new(state)))
    }

    /// There may be work in a pool.
    pub fn nudge(&self, pool: Pool) {
        self.state().nudged.insert(pool);
    }

    /// All of them.
    pub fn known(&self) -> Vec<Pool> {
        self.state().known.iter().cloned().collect()
    }

    fn add(&self, pools: impl IntoIterator<Item = Pool>) {
        self.state().known.extend(pools);
    }

    /// Those that were nudged for, else all.
    fn take(&self) -> Vec<Pool> {
        let mut state = self.state();
        let nudged = std::mem::take(&mut state.nudged);
        let taken = if nudged.is_empty() { &state.known } else { &nudged };
        taken.iter().cloned().collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Sets are never half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The reconciler.
pub struct Dispatch {
    dispatcher: Dispatcher,
    store: Arc<dyn JobStore>,
    pools: Pools,
    clock: Arc<dyn Clock>,
    looked: Option<Timestamp>,
}

impl Dispatch {
    /// For these pools, and those that turn out to have work.
    pub fn new(
        dispatcher: Dispatcher,
        store: Arc<dyn JobStore>,
        pools: Pools,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { dispatcher, store, pools, clock, looked: None }
    }

    async fn look_for_pools(&mut self) -> Result<(), PortError> {
        let now = self.clock.now();
        // A clock that was set back looks at once.
        let fresh = self.looked.is_some_and(|looked| looked <= now && now.since(looked) < LOOK_EVERY);
        if !fresh {
            self.pools.add(self.store.backlog().await?.into_iter().map(|backlog| backlog.pool));
            self.looked = Some(now);
        }
        Ok(())
    }
}

#[async_trait]
impl Reconciler for Dispatch {
    fn name(&self) -> &'static str {
        "dispatch"
    }

    async fn round(&mut self) -> Result<bool, PortError> {
        self.look_for_pools().await?;
        let mut first_error = None;
        for pool in self.pools.take() {
            // One pool's trouble is not another's.
            match self.dispatcher.dispatch(&pool).await {
                Ok(sent) if sent.sent + sent.returned > 0 => {
                    tracing::debug!(%pool, sent = sent.sent, returned = sent.returned, "dispatched");
                }
                Ok(_) => {}
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        // A full window is filled again when workers nudge, or on the timer.
        first_error.map_or(Ok(false), Err)
    }
}
