//! The scheduler: hands out tickets, and mends what died, expired or was lost.
//!
//! It is a set of reconcilers. Each looks at the store and brings what it finds closer to what should be; each is
//! idempotent, so any number of schedulers run at once and any of them may be killed at any point. They run on timers; a
//! nudge only makes dispatch run sooner.
//!
//! | reconciler | what it mends |
//! |---|---|
//! | [`reconcilers::dispatch`] | due jobs without a ticket |
//! | [`reconcilers::tickets`] | tickets that were lost on their way |
//! | [`reconcilers::parking`] | tickets that the broker gave up on |
//! | [`reconcilers::jobs`] | jobs whose time has come, or whose deadline has passed, or whose batch was called off |
//! | [`reconcilers::leases`] | runs whose worker is dead, frozen or hung |
//! | [`reconcilers::counts`] | counts of batches, and batches that are over |
//! | [`reconcilers::files`] | files of runs without result, batches and deliveries past their time, forgotten submissions |
//! | [`reconcilers::webhooks`] | webhooks that were not told yet what happened |

mod options;
pub mod reconcilers;
mod rounds;
mod scheduler;

pub use options::Options;
pub use scheduler::Scheduler;
