//! Jobs whose time has come, whose deadline has passed, or whose batch was called off.

use std::sync::Arc;

use async_trait::async_trait;
use retouch_ports::{JobStore, PortError};
use tokio::sync::Notify;

use super::{ROUND, Reconciler};

/// The reconciler.
pub struct Jobs {
    store: Arc<dyn JobStore>,
    dispatch: Arc<Notify>,
}

impl Jobs {
    /// Nudges `dispatch` when jobs become due.
    pub fn new(store: Arc<dyn JobStore>, dispatch: Arc<Notify>) -> Self {
        Self { store, dispatch }
    }
}

#[async_trait]
impl Reconciler for Jobs {
    fn name(&self) -> &'static str {
        "jobs"
    }

    async fn round(&mut self) -> Result<bool, PortError> {
        let expired = self.store.expire_deadlines(ROUND).await?;
        let canceled = self.store.finish_cancels(ROUND).await?;
        let due = self.store.release_due(ROUND).await?;
        if due > 0 {
            self.dispatch.notify_one();
        }
        Ok([expired, canceled, due].iter().any(|count| *count >= u64::from(ROUND)))
    }
}
