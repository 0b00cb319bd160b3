//! Tickets that were lost on their way: their queue was seen empty, and some time later their jobs still wait.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use retouch_domain::{Band, Pool, Timestamp};
use retouch_ports::queue::QueueKey;
use retouch_ports::{Clock, JobQueue, JobStore, PortError};

use super::Reconciler;
use super::dispatch::Pools;

/// A look at an empty queue.
struct Empty {
    /// By the database's clock: before the look.
    moment: Timestamp,
    /// By this process's clock.
    seen: Timestamp,
}

/// The reconciler.
pub struct LostTickets {
    store: Arc<dyn JobStore>,
    queue: Arc<dyn JobQueue>,
    clock: Arc<dyn Clock>,
    grace: Duration,
    pools: Pools,
    empty: HashMap<QueueKey, Empty>,
}

impl LostTickets {
    /// Looks at the queues of `pools`. A ticket is lost when it is not claimed within `grace` after its queue was seen
    /// empty.
    pub fn new(
        store: Arc<dyn JobStore>,
        queue: Arc<dyn JobQueue>,
        clock: Arc<dyn Clock>,
        grace: Duration,
        pools: Pools,
    ) -> Self {
        Self { store, queue, clock, grace, pools, empty: HashMap::new() }
    }

    async fn look(&mut self, pool: &Pool, band: Band) -> Result<(), PortError> {
        let key = QueueKey { pool: pool.clone(), band };
        let now = self.clock.now();
        if let Some(empty) = self.empty.get(&key) {
            if now.since(empty.seen) < self.grace && now >= empty.seen {
                return Ok(());
            }
            let lost = self.store.lost_tickets(pool, band, empty.moment).await?;
            if lost > 0 {
                tracing::warn!(queue = %key, jobs = lost, "tickets were lost; their jobs get others");
            }
            self.empty.remove(&key);
        }
        let moment = self.store.now().await?;
        // A queue that is not there holds nothing either; who sends to it makes it.
        let ready = self.queue.depth(&key).await?.map_or(0, |depth| depth.ready);
        if ready == 0 {
            self.empty.insert(key, Empty { moment, seen: now });
        }
        Ok(())
    }
}

#[async_trait]
impl Reconciler for LostTickets {
    fn name(&self) -> &'static str {
        "tickets"
    }

    async fn round(&mut self) -> Result<bool, PortError> {
        for pool in self.pools.known() {
            for band in Band::ALL {
                self.look(&pool, band).await?;
            }
        }
        Ok(false)
    }
}
