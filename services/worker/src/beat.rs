//! Heartbeats: renew the leases of all runs, put on record what is on the device, and pass on what the store answers.

use std::error::Error;
use std::sync::Arc;

use retouch_ports::store::{Beat, LeaseTerms, Signal, Work};
use retouch_ports::{Ids, PortError};
use tokio::sync::Notify;

use crate::record::BACKOFF;
use crate::run::{RunHandle, Stop};
use crate::table::Table;
use crate::worker::Options;

/// How many leases one statement renews.
const TOGETHER: usize = 1000;

/// Beats at a third of the lease, and at once when a run asks for the device or an event may have been missed.
pub(crate) struct Heart {
    pub(crate) work: Arc<dyn Work>,
    pub(crate) terms: LeaseTerms,
    pub(crate) table: Table,
    pub(crate) ids: Arc<dyn Ids>,
    pub(crate) beat: Arc<Notify>,
}

impl Heart {
    /// Beats until the worker is torn down.
    pub(crate) async fn run(self, options: &Options) {
        let mut failures = 0;
        loop {
            let wait = match self.once().await {
                Ok(()) => {
                    failures = 0;
                    self.terms.length / 3
                }
                Err(error) => {
                    failures += 1;
                    if failures == 1 {
                        tracing::warn!(error = &error as &dyn Error, "leases cannot be renewed; tries again");
                    }
                    BACKOFF.wait(failures, &*self.ids)
                }
            };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.beat.notified(), if failures == 0 => {}
            }
            self.table.release_older(options.held_at_most).await;
        }
    }

    async fn once(&self) -> Result<(), PortError> {
        let mut handles = self.table.handles();
        // Locks are taken in this order by everybody.
        handles.sort_by_key(|handle| handle.fence());
        for part in handles.chunks(TOGETHER) {
            self.renew(part).await?;
        }
        Ok(())
    }

    async fn renew(&self, handles: &[Arc<RunHandle>]) -> Result<(), PortError> {
        let asking: Vec<bool> = handles.iter().map(|handle| handle.asks_for_device()).collect();
        let beats: Vec<Beat> = handles.iter().map(|handle| beat(handle)).collect();
        let signals = self.work.renew(&self.terms, &beats).await?;
        for ((handle, signal), asking) in handles.iter().zip(signals).zip(asking) {
            if asking && signal != Signal::Lost {
                handle.device_recorded();
            }
            match signal {
                Signal::Continue => {}
                Signal::HandOver => handle.tell(Stop::HandOver),
                Signal::Cancel => handle.tell(Stop::Cancel),
                Signal::TimedOut => handle.tell(Stop::TimedOut),
                Signal::Lost => handle.tell(Stop::Lost),
            }
        }
        Ok(())
    }
}

fn beat(handle: &RunHandle) -> Beat {
    let (step, steps) = handle.reported();
    Beat { fence: handle.fence(), on_device: handle.on_device(), step, steps }
}
