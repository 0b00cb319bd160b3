//! Tickets that the broker gave up on: their jobs get others after a backoff, and the third time they fail.

use std::error::Error;
use std::num::NonZeroU16;
use std::sync::Arc;

use retouch_ports::queue::{Consumer, Delivery};
use retouch_ports::{Ids, JobQueue, JobStore};
use tokio_util::sync::CancellationToken;

use crate::rounds::BACKOFF;

const PREFETCH: NonZeroU16 = NonZeroU16::new(16).expect("more than none");

/// Works off parked tickets until `stop` is canceled. What it holds then comes to another scheduler.
pub(crate) async fn consume(
    store: Arc<dyn JobStore>,
    queue: Arc<dyn JobQueue>,
    ids: Arc<dyn Ids>,
    stop: CancellationToken,
) {
    let work = async {
        let mut failures = 0;
        loop {
            match queue.consume_parked(PREFETCH).await {
                Ok(consumer) => {
                    failures = 0;
                    drain(consumer, &*store, &*ids).await;
                }
                Err(error) => {
                    failures += 1;
                    if failures == 1 {
                        tracing::warn!(
                            error = &error as &dyn Error,
                            "parked tickets cannot be read; tries again"
                        );
                    }
                }
            }
            tokio::time::sleep(BACKOFF.wait(failures + 1, &*ids)).await;
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = work => {}
    }
}

/// Works off tickets until the consumer fails for good.
async fn drain(mut consumer: Box<dyn Consumer>, store: &dyn JobStore, ids: &dyn Ids) {
    loop {
        match consumer.next().await {
            Ok(delivery) => park(delivery, store, ids).await,
            Err(error) => {
                tracing::warn!(error = &error as &dyn Error, "parked tickets cannot be read; tries again");
                return;
            }
        }
    }
}

async fn park(delivery: Delivery, store: &dyn JobStore, ids: &dyn Ids) {
    for ticket in delivery.message.tickets() {
        let mut failures = 0;
        while let Err(error) = store.park(&ticket, ids.unit()).await {
            failures += 1;
            if failures == 1 {
                let error = &error as &dyn Error;
                tracing::warn!(error, job = %ticket.job, "a parked ticket cannot be put on record; tries again");
            }
            tokio::time::sleep(BACKOFF.wait(failures, ids)).await;
        }
    }
    if let Err(error) = delivery.ack().await {
        // It comes again, and its jobs are no longer as it says.
        tracing::debug!(error = &error as &dyn Error, "a parked ticket cannot be acknowledged");
    }
}
