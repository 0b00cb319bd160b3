//! Folds counts, and ends batches whose jobs are all over.

use std::sync::Arc;

use async_trait::async_trait;
use retouch_ports::live::{LiveEvent, Topic};
use retouch_ports::{JobStore, Live, PortError};

use super::Reconciler;

/// How many batches one round takes.
const BATCHES: u32 = 100;

/// The reconciler.
pub struct Counts {
    store: Arc<dyn JobStore>,
    live: Arc<dyn Live>,
}

impl Counts {
    /// Tells those who watch a batch of its end.
    pub fn new(store: Arc<dyn JobStore>, live: Arc<dyn Live>) -> Self {
        Self { store, live }
    }
}

#[async_trait]
impl Reconciler for Counts {
    fn name(&self) -> &'static str {
        "counts"
    }

    async fn round(&mut self) -> Result<bool, PortError> {
        let over = self.store.fold(BATCHES).await?;
        for batch in &over {
            tracing::debug!(batch = %batch.batch, state = batch.state.code(), "a batch is over");
            if let Err(error) = self.live.publish(&Topic::Batch(batch.batch), &LiveEvent::Changed).await {
                // Whoever watches asks the store from time to time.
                tracing::debug!(
                    error = &error as &dyn std::error::Error,
                    "the end of batches cannot be told"
                );
                break;
            }
        }
        Ok(over.len() >= BATCHES as usize)
    }
}
