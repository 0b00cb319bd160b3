//! What operators may choose.

use std::time::Duration;

use retouch_domain::Pool;
use retouch_ports::DispatchRules;

/// The settings of a scheduler. Intervals vary by a quarter, so that several schedulers do not go in step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// How the window of a pool is filled.
    pub dispatch: DispatchRules,
    /// Pools that are looked after from the start; others are found when they have work.
    pub pools: Vec<Pool>,
    /// How often dispatch runs without a nudge.
    pub dispatch_every: Duration,
    /// How often due jobs, deadlines, cancels, leases, counts and deliveries are looked at.
    pub upkeep_every: Duration,
    /// How often files, old batches, answers and deliveries are looked at.
    pub sweep_every: Duration,
    /// How long a ticket may be on its way after its queue was seen empty.
    pub ticket_grace: Duration,
    /// How long a worker's liveness lock must be free until it counts as dead.
    pub dead_after: Duration,
    /// How long ended batches are kept; none: for ever.
    pub keep_batches: Option<Duration>,
    /// How long deliveries to webhooks are kept.
    pub keep_deliveries: Duration,
    /// How long answers to idempotent requests are kept.
    pub keep_answers: Duration,
    /// How long a submission may be loading without progress until it is given up.
    pub keep_loading: Duration,
}
