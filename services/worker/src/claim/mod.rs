//! From a ticket to a run: one consumer for each band, whose deliveries are claimed as they come.

mod redelivered;

use std::collections::VecDeque;
use std::error::Error;
use std::num::NonZeroU16;
use std::sync::Arc;

use futures_util::FutureExt;
use retouch_domain::Band;
use retouch_ports::queue::{Consumer, Delivery, QueueKey};
use retouch_ports::store::{Claim, Claimed, Refusal, Ticket};
use retouch_ports::{PortError, fail_point};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::record::BACKOFF;
use crate::run::{RunHandle, Stop};
use crate::runner;
use crate::table::Hold;
use crate::worker::Shared;

/// How many jobs one claim takes.
const TOGETHER: usize = 256;

/// The desk of a band: claims what its queue delivers while there are slots for it.
pub(crate) struct Desk {
    shared: Arc<Shared>,
    band: Band,
    capacity: NonZeroU16,
    slots: Arc<Semaphore>,
    /// Delivered, and still without slots.
    waiting: VecDeque<Delivery>,
}

/// A delivery with slots for its jobs.
type Seated = (Delivery, OwnedSemaphorePermit);

impl Desk {
    /// A desk that holds this many jobs at a time.
    pub(crate) fn new(shared: Arc<Shared>, band: Band, capacity: NonZeroU16) -> Self {
        let slots = Arc::new(Semaphore::new(usize::from(capacity.get())));
        Self { shared, band, capacity, slots, waiting: VecDeque::new() }
    }

    /// Claims until the worker drains, and keeps its consumer until no run holds a delivery of it.
    pub(crate) async fn run(mut self) {
        let draining = self.shared.draining.clone();
        let Some(mut consumer) = draining.run_until_cancelled(self.consumer()).await else { return };
        while !draining.is_cancelled() {
            let Some(seated) = draining.run_until_cancelled(self.next(&mut *consumer)).await else { break };
            let retried = match self.claim(&seated).await {
                Some(claims) => self.seat(seated, claims),
                None => break,
            };
            retried.await;
        }
        self.shared.table.empty().await;
    }

    async fn consumer(&self) -> Box<dyn Consumer> {
        let key = QueueKey { pool: self.shared.options.pool.clone(), band: self.band };
        let mut failures = 0;
        loop {
            match self.shared.queue.consume(&key, self.capacity).await {
                Ok(consumer) => return consumer,
                Err(error) => self.failed(&mut failures, &error, "tickets cannot be had").await,
            }
        }
    }

    async fn failed(&self, failures: &mut u32, error: &PortError, what: &str) {
        *failures += 1;
        if *failures == 1 {
            tracing::warn!(error = error as &dyn Error, band = self.band.code(), "{what}; tries again");
        }
        tokio::time::sleep(BACKOFF.wait(*failures, &*self.shared.ids)).await;
    }

    /// The next deliveries for which there are slots, at least one.
    async fn next(&mut self, consumer: &mut dyn Consumer) -> Vec<Seated> {
        if self.waiting.is_empty() {
            let delivery = self.delivery(consumer).await;
            self.waiting.push_back(delivery);
        }
        // Whatever else is there already shares the claim.
        while self.waiting.len() < TOGETHER
            && let Some(Ok(delivery)) = consumer.next().now_or_never()
        {
            self.waiting.push_back(delivery);
        }
        let mut seated: Vec<Seated> = Vec::new();
        let mut jobs = 0;
        while let Some(delivery) = self.waiting.front() {
            let count = delivery.message.jobs().len();
            if !seated.is_empty() && jobs + count > TOGETHER {
                break;
            }
            // A message of more jobs than there are slots takes all of them.
            let wanted = u32::try_from(count).unwrap_or(u32::MAX).min(u32::from(self.capacity.get()));
            let permit = match self.slots.clone().try_acquire_many_owned(wanted) {
                Ok(permit) => permit,
                Err(_) if !seated.is_empty() => break,
                Err(_) => match self.slots.clone().acquire_many_owned(wanted).await {
                    Ok(permit) => permit,
                    // The semaphore is never closed.
                    Err(_) => break,
                },
            };
            if let Some(delivery) = self.waiting.pop_front() {
                jobs += count;
                seated.push((delivery, permit));
            }
        }
        seated
    }

    async fn delivery(&self, consumer: &mut dyn Consumer) -> Delivery {
        let mut failures = 0;
        loop {
            match consumer.next().await {
                Ok(delivery) => return delivery,
                Err(error) => self.failed(&mut failures, &error, "tickets cannot be had").await,
            }
        }
    }

    /// Claims all jobs of these deliveries, once this worker's liveness lock is held. With whether an earlier try may have
    /// taken effect. None if the worker drains before there is an answer.
    async fn claim(&self, seated: &[Seated]) -> Option<(Vec<Claim>, bool)> {
        let tickets: Vec<Ticket> =
            seated.iter().flat_map(|(delivery, _)| delivery.message.tickets()).collect();
        let shared = &self.shared;
        let claim = async {
            let mut failures = 0;
            loop {
                // The sender lives as long as the worker.
                let _ = shared.held.clone().wait_for(|held| *held).await;
                fail_point!("worker.delivered");
                match shared.work.claim(&shared.terms, &tickets).await {
                    Ok(claims) => return (claims, failures > 0),
                    Err(error) => self.failed(&mut failures, &error, "jobs cannot be claimed").await,
                }
            }
        };
        // Not given up for a drain while the store answers: what it gave would be left to its lease.
        let claimed = tokio::select! {
            claimed = claim => claimed,
            () = shared.hopeless() => return None,
        };
        fail_point!("worker.claimed");
        Some(claimed)
    }

    /// Starts what was claimed. The future answers the rest: tickets of jobs that run already.
    fn seat(
        &self,
        seated: Vec<Seated>,
        (claims, retried): (Vec<Claim>, bool),
    ) -> impl Future<Output = ()> + Send + use<> {
        let mut claims = claims.into_iter();
        let mut holds = Vec::with_capacity(seated.len());
        let mut begun = 0;
        for (delivery, mut permit) in seated {
            let again = delivery.redelivered || retried;
            let tickets: Vec<Ticket> = delivery.message.tickets().collect();
            let hold = Hold::new(delivery);
            for (ticket, claim) in tickets.into_iter().zip(claims.by_ref()) {
                match claim {
                    Claim::Claimed(job) => {
                        begun += 1;
                        start(&self.shared, *job, self.band, &hold, permit.split(1));
                    }
                    Claim::Refused(Refusal::Running) if self.shared.table.adopt(ticket.job, &hold) => {}
                    Claim::Refused(Refusal::Running) if again => {
                        let answer =
                            redelivered::answer(self.shared.clone(), ticket, hold.share(), permit.split(1));
                        self.shared.tasks.spawn(answer);
                    }
                    Claim::Refused(refusal) => {
                        tracing::debug!(job = %ticket.job, ?refusal, "a ticket is not worth anything");
                    }
                }
            }
            holds.push(hold);
        }
        if begun > 0 {
            self.shared.news.room();
        }
        async move {
            for hold in holds {
                hold.release().await;
            }
        }
    }
}

/// Starts a run in a task of its own.
pub(crate) fn start(
    shared: &Arc<Shared>,
    job: Claimed,
    band: Band,
    hold: &Arc<Hold>,
    slot: Option<OwnedSemaphorePermit>,
) {
    let handle = Arc::new(RunHandle::new(job.fence, band, shared.beat.clone()));
    shared.table.insert(handle.clone(), hold);
    if shared.draining.is_cancelled() {
        handle.tell(Stop::HandOver);
    }
    let run = runner::run(shared.clone(), job, handle);
    shared.tasks.spawn(async move {
        run.await;
        drop(slot);
    });
}
