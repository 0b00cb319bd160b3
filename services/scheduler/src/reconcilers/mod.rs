//! What is looked after, one file for each kind.

pub mod counts;
pub mod dispatch;
pub mod files;
pub mod jobs;
pub mod leases;
pub mod parking;
pub mod tickets;
pub mod webhooks;

pub use crate::rounds::Reconciler;

/// How many rows one round takes.
const ROUND: u32 = 500;
