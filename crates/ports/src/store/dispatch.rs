//! Choosing the jobs that get a ticket next.

use async_trait::async_trait;
use retouch_domain::fair::Rules;
use retouch_domain::{Band, Pool, Timestamp};

use super::{Result, Ticket};

/// What a call of [`Dispatch::dispatch`] did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dispatched {
    /// These jobs are marked; their tickets are to be published.
    Tickets(Vec<Ticket>),
    /// Another process is at this pool; it sees what this one would have seen.
    Busy,
}

/// What waits for the workers of a pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backlog {
    /// The pool.
    pub pool: Pool,
    /// The band.
    pub band: Band,
    /// Queued jobs without a ticket, and their estimated milliseconds on the device.
    pub queued: u64,
    /// The sum of their estimates.
    pub queued_cost_ms: u64,
    /// Queued jobs with a ticket.
    pub dispatched: u64,
    /// Running jobs.
    pub running: u64,
}

/// For whoever hands out tickets: the scheduler, and the API after its commit.
#[async_trait]
pub trait Dispatch: Send + Sync {
    /// Fills the window of a pool in fair order ([`retouch_domain::fair`]) and marks what it chose. One caller at a
    /// time per pool; the others get [`Dispatched::Busy`].
    async fn dispatch(&self, pool: &Pool, rules: &Rules) -> Result<Dispatched>;

    /// Unmarks jobs whose tickets were returned or refused by the broker, if they are still as the ticket says.
    /// Answers how many.
    async fn undispatch(&self, tickets: &[Ticket]) -> Result<u64>;

    /// Unmarks jobs of a queue that was seen empty: those that were dispatched before that moment (by
    /// [`Reading::now`](super::Reading::now)) and are still queued. Answers how many. The caller waits a grace between the
    /// look and this call.
    async fn lost_tickets(&self, pool: &Pool, band: Band, before: Timestamp) -> Result<u64>;

    /// The broker gave up on a ticket: the job gets another after a backoff, the third time it fails. `random` is
    /// uniform in 0..1. False if the job is no longer as the ticket says.
    async fn park(&self, ticket: &Ticket, random: f64) -> Result<bool>;

    /// What waits, by pool and band; pools without work are left out.
    async fn backlog(&self) -> Result<Vec<Backlog>>;
}
