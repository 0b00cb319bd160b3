//! What a job is and what may happen to it. No I/O: time, ids and randomness come in as arguments.

pub mod band;
pub mod id;
pub mod name;
pub mod time;

pub use band::Band;
pub use id::{BatchId, JobId, TenantId, WorkerBootId};
pub use name::{JobKind, Pool};
pub use time::Timestamp;
