//! The settings of the scheduler.

use std::num::NonZeroU32;

use serde::Deserialize;

/// `[scheduler]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SchedulerSettings {
    /// Pools that are looked after from the start.
    pub pools: Vec<String>,
    /// Tickets that wait in a queue for each slot of the live workers.
    pub tickets_per_slot: NonZeroU32,
    /// Tickets that wait in a queue whose workers are not known.
    pub least_window: NonZeroU32,
    /// A lower band with work gets 1 of this many dispatches.
    pub share_of: NonZeroU32,
    /// The longest run of jobs of one shape.
    pub run: NonZeroU32,
    /// Between dispatches that nobody asks for.
    pub dispatch_ms: NonZeroU32,
    /// Between looks at due jobs, leases, tickets, counts and deliveries.
    pub upkeep_ms: NonZeroU32,
    /// Between looks at files and what is kept for a while.
    pub sweep_seconds: NonZeroU32,
    /// How long a ticket may be on its way.
    pub ticket_grace_seconds: NonZeroU32,
    /// How long a liveness lock is free until its worker counts as dead.
    pub dead_after_ms: NonZeroU32,
    /// How long ended batches are kept; 0: for ever.
    pub keep_batches_days: u32,
    /// How long deliveries to webhooks are kept.
    pub keep_deliveries_days: NonZeroU32,
    /// How long answers to repeated requests are kept.
    pub keep_answers_hours: NonZeroU32,
    /// How long a submission may stand still.
    pub keep_loading_hours: NonZeroU32,
}
