//! The one way in which tickets get from the store into the queue.
//!
//! The scheduler calls it on a timer and when nudged; whoever commits new jobs calls it right after, so that they need
//! not wait for the timer. The store marks the jobs first and the tickets are sent afterwards: what is lost in between is
//! found by the scheduler, which looks for marked jobs of empty queues.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use retouch_domain::fair::Rules;
use retouch_domain::{Band, Pool};

use crate::live::WorkerPresence;
use crate::queue::{MAX_JOBS, Message, NamedJob, Published};
use crate::store::{Dispatch, Dispatched, Ticket};
use crate::{JobQueue, Live, PortError, fail_point};

/// How old the knowledge of a pool's workers may be.
const FRESH: Duration = Duration::from_secs(1);

/// The settings of dispatch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DispatchRules {
    /// Tickets that wait in a pool's queue for each slot of its live workers; at least 1.
    pub tickets_per_slot: u32,
    /// The same for a pool whose workers are not known; at least 1.
    pub least_window: u32,
    /// A lower band with work gets 1 of this many dispatches.
    pub share_of: u32,
    /// The longest run of one shape within a tenant.
    pub run: u32,
}

/// What a call did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sent {
    /// Jobs whose tickets are in the queue, or may be.
    pub sent: usize,
    /// Jobs whose tickets the broker does not have: they get others.
    pub returned: usize,
    /// Another process is at this pool.
    pub busy: bool,
}

/// Fills the queues of pools.
pub struct Dispatcher {
    store: Arc<dyn Dispatch>,
    queue: Arc<dyn JobQueue>,
    live: Arc<dyn Live>,
    rules: DispatchRules,
    workers: Arc<Mutex<HashMap<Pool, Known>>>,
}

/// What is known of a pool's workers.
#[derive(Debug, Clone, Copy)]
struct Known {
    slots: u32,
    smallest: u32,
    asked: Instant,
}

impl Dispatcher {
    /// A dispatcher between these two.
    pub fn new(
        store: Arc<dyn Dispatch>,
        queue: Arc<dyn JobQueue>,
        live: Arc<dyn Live>,
        rules: DispatchRules,
    ) -> Self {
        Self { store, queue, live, rules, workers: Arc::default() }
    }

    /// Fills the window of a pool: marks jobs in the store, sends their tickets, and takes the mark back from those
    /// whose tickets the broker does not have.
    ///
    /// # Errors
    /// As the store's and the broker's. Jobs that are marked and have no ticket then are found by the scheduler.
    pub async fn dispatch(&self, pool: &Pool) -> Result<Sent, PortError> {
        let known = self.known(pool).await;
        let window = known.slots.saturating_mul(self.rules.tickets_per_slot).max(self.rules.least_window);
        let rules = Rules { window, share_of: self.rules.share_of, run: self.rules.run };
        let tickets = match self.store.dispatch(pool, &rules).await? {
            Dispatched::Busy => return Ok(Sent { busy: true, ..Sent::default() }),
            Dispatched::Tickets(tickets) => tickets,
        };
        if tickets.is_empty() {
            return Ok(Sent::default());
        }
        fail_point!("dispatch.marked");
        let messages = messages(&tickets, most_jobs(known.smallest))?;
        let missing = match self.send(pool, messages).await {
            Ok(missing) => missing,
            Err(error) => {
                self.store.undispatch(&tickets).await?;
                return Err(error);
            }
        };
        if !missing.is_empty() {
            self.store.undispatch(&missing).await?;
        }
        Ok(Sent { sent: tickets.len() - missing.len(), returned: missing.len(), busy: false })
    }

    /// Sends messages; answers the tickets that the broker does not have. A missing queue is made, once.
    async fn send(&self, pool: &Pool, messages: Vec<Message>) -> Result<Vec<Ticket>, PortError> {
        let first = self.queue.publish(pool, &messages).await?;
        let mut missing = tickets_with(&messages, &first, Published::Refused);
        let returned: Vec<Message> = with(&messages, &first, Published::Returned).cloned().collect();
        if returned.is_empty() {
            return Ok(missing);
        }
        let again = async {
            self.queue.declare(pool).await?;
            self.queue.publish(pool, &returned).await
        };
        match again.await {
            Ok(second) => {
                missing.extend(tickets_with(&returned, &second, Published::Refused));
                missing.extend(tickets_with(&returned, &second, Published::Returned));
            }
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, %pool, "the pool has no queues and they could not be made");
                missing.extend(returned.iter().flat_map(Message::tickets));
            }
        }
        Ok(missing)
    }

    /// What is known of the pool's workers. What is old is asked for anew, and used until the answer is there: a backend
    /// that is lost takes a second to say so.
    async fn known(&self, pool: &Pool) -> Known {
        let known = self.table().get(pool).copied();
        match known {
            Some(known) if known.asked.elapsed() < FRESH => known,
            Some(known) => {
                // Whoever comes next finds it fresh and does not ask too.
                self.table().insert(pool.clone(), Known { asked: Instant::now(), ..known });
                let (live, table, pool) = (self.live.clone(), self.workers.clone(), pool.clone());
                tokio::spawn(async move { ask(&*live, &table, &pool).await });
                known
            }
            None => ask(&*self.live, &self.workers, pool).await,
        }
    }

    fn table(&self) -> MutexGuard<'_, HashMap<Pool, Known>> {
        lock(&self.workers)
    }
}

fn lock(table: &Mutex<HashMap<Pool, Known>>) -> MutexGuard<'_, HashMap<Pool, Known>> {
    // Entries are written whole.
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Asks who works for the pool; without an answer the last one stands.
async fn ask(live: &dyn Live, table: &Mutex<HashMap<Pool, Known>>, pool: &Pool) -> Known {
    let answer = live.workers(pool).await;
    let mut table = lock(table);
    let last = table.get(pool).copied();
    let known = match answer {
        Ok(workers) => count(&workers),
        Err(error) => {
            tracing::debug!(error = &error as &dyn std::error::Error, %pool, "the workers are not known");
            last.unwrap_or(count(&[]))
        }
    };
    let known = Known { asked: Instant::now(), ..known };
    table.insert(pool.clone(), known);
    known
}

fn count(workers: &[WorkerPresence]) -> Known {
    let slots = || workers.iter().filter(|worker| !worker.draining).map(|worker| worker.slots);
    Known { slots: slots().sum(), smallest: slots().min().unwrap_or(0), asked: Instant::now() }
}

/// How many jobs a message of the bulk band names: a quarter of what the smallest worker can hold, so that several
/// workers share what is there.
fn most_jobs(smallest: u32) -> usize {
    usize::try_from(smallest / 4).unwrap_or(MAX_JOBS).clamp(1, MAX_JOBS)
}

/// The messages of tickets, in their order. Only bulk jobs share one, with neighbours of the same tenant.
fn messages(tickets: &[Ticket], most: usize) -> Result<Vec<Message>, PortError> {
    let together =
        |a: &Ticket, b: &Ticket| a.band == Band::Bulk && b.band == Band::Bulk && a.tenant == b.tenant;
    let named = |ticket: &Ticket| NamedJob { job: ticket.job, epoch: ticket.epoch };
    let runs = tickets.chunk_by(together).flat_map(|run| run.chunks(most));
    runs.map(|run| Message::new(run[0].tenant, run[0].band, run.iter().map(named).collect())).collect()
}

fn with<'a>(
    messages: &'a [Message],
    outcomes: &'a [Published],
    wanted: Published,
) -> impl Iterator<Item = &'a Message> {
    messages.iter().zip(outcomes).filter(move |(_, outcome)| **outcome == wanted).map(|(message, _)| message)
}

fn tickets_with(messages: &[Message], outcomes: &[Published], wanted: Published) -> Vec<Ticket> {
    with(messages, outcomes, wanted).flat_map(Message::tickets).collect()
}

#[cfg(test)]
mod tests {
    use retouch_domain::{JobId, TenantId};
    use uuid::Uuid;

    use super::*;

    fn ticket(job: u128, tenant: u128, band: Band) -> Ticket {
        Ticket {
            job: JobId::new(Uuid::from_u128(job)),
            tenant: TenantId::new(Uuid::from_u128(tenant)),
            epoch: 0,
            band,
        }
    }

    #[test]
    fn bulk_jobs_of_a_tenant_share_messages_and_nothing_is_reordered() {
        let mut tickets: Vec<Ticket> = (0..5).map(|job| ticket(job, 1, Band::Bulk)).collect();
        tickets.push(ticket(5, 2, Band::Bulk));
        tickets.extend([6, 7].map(|job| ticket(job, 2, Band::Standard)));
        let messages = messages(&tickets, 4).unwrap();
        let sizes: Vec<usize> = messages.iter().map(|message| message.jobs().len()).collect();
        assert_eq!(sizes, [4, 1, 1, 1, 1]);
        let carried: Vec<Ticket> = messages.iter().flat_map(Message::tickets).collect();
        assert_eq!(carried, tickets);
    }

    #[test]
    fn a_message_is_a_part_of_what_the_smallest_worker_holds() {
        assert_eq!([0, 3, 8, 64, 100_000].map(most_jobs), [1, 1, 2, 16, 64]);
    }
}
