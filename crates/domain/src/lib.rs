//! What a job is and what may happen to it. No I/O: time, ids and randomness come in as arguments.

pub mod id;
pub mod time;

pub use id::{BatchId, JobId, TenantId, WorkerBootId};
pub use time::Timestamp;
