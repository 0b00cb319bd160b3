//! Runs reconcilers: on a timer and on a nudge, until they are told to stop.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use retouch_ports::{Backoff, Ids, PortError};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Of whatever a scheduler tries again.
pub(crate) const BACKOFF: Backoff =
    Backoff { first: Duration::from_millis(100), longest: Duration::from_secs(10) };

/// Something that is looked after again and again.
#[async_trait]
pub trait Reconciler: Send {
    /// For the log.
    fn name(&self) -> &'static str;

    /// One round of bounded size. Whether there may be more to do at once.
    ///
    /// # Errors
    /// As the ports; the next round tries again.
    async fn round(&mut self) -> Result<bool, PortError>;
}

/// When a reconciler runs.
pub(crate) struct Rhythm {
    /// The wait between rounds that find nothing.
    pub(crate) every: Duration,
    /// Ends the wait.
    pub(crate) nudge: Arc<Notify>,
    /// Varies the wait.
    pub(crate) ids: Arc<dyn Ids>,
    /// Ends it all, after the round that runs.
    pub(crate) stop: CancellationToken,
}

/// Runs a reconciler until it is told to stop.
pub(crate) async fn run(mut reconciler: Box<dyn Reconciler>, rhythm: Rhythm) {
    let mut failures = 0;
    while !rhythm.stop.is_cancelled() {
        let wait = match reconciler.round().await {
            Ok(more) => {
                if failures > 0 {
                    tracing::info!(reconciler = reconciler.name(), failures, "works again");
                }
                failures = 0;
                if more {
                    continue;
                }
                rhythm.every.mul_f64(0.75 + rhythm.ids.unit() / 2.0)
            }
            Err(error) => {
                if failures == 0 {
                    let error = &error as &dyn Error;
                    tracing::warn!(error, reconciler = reconciler.name(), "failed; tries again");
                }
                failures += 1;
                BACKOFF.wait(failures, &*rhythm.ids)
            }
        };
        tokio::select! {
            () = rhythm.stop.cancelled() => {}
            () = tokio::time::sleep(wait) => {}
            () = rhythm.nudge.notified(), if failures == 0 => {}
        }
    }
}
