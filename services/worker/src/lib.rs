//! The worker's side of a job: claim, run, renew, commit. No tensor is known here.

pub mod executor;
pub mod run;

pub use executor::{Executor, Outcome};
pub use run::{RunHandle, Stop};
