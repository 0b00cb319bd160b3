//! The worker's side of a job: claim, run, renew, commit. No tensor is known here.
//!
//! | rule | place |
//! |---|---|
//! | tickets become runs; slots | `claim/mod.rs` |
//! | tickets that came again: re-adopt, take over, leave | `claim/redelivered.rs` |
//! | leases, and what the store says of runs | `beat.rs` |
//! | what an executor is told and answers | [`run`], [`executor`], `runner.rs` |
//! | ends of runs on record, together | `record.rs` |
//! | deliveries that are held, and when they are acknowledged | `table.rs` |
//! | liveness lock, presence, progress, cancels, nudges | `presence.rs` |
//! | drain | [`worker`] |
//! | jobs of the kind `edit` | [`edit`] |
//! | jobs of the kinds `render` and `pack` | [`pairs`] |
//! | which rows share the device's next forward | [`batcher`] |

pub mod batcher;
mod beat;
mod claim;
pub mod edit;
pub mod executor;
#[cfg(test)]
mod memory;
pub mod pairs;
mod presence;
mod record;
pub mod run;
mod runner;
mod table;
mod tasks;
pub mod worker;

pub use executor::{Executor, Outcome};
pub use run::{RunHandle, Stop};
pub use worker::{Options, Ports, WorkerError};
