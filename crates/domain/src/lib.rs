//! What a job is and what may happen to it. No I/O: time, ids and randomness come in as arguments.
//!
//! | rule | place |
//! |---|---|
//! | which state follows which event | [`transition()`] |
//! | what a lost run costs, and when a job may start again | [`charge()`], [`RetryPolicy`] |
//! | what is written about an event | [`change`] |
//! | when a batch is over | [`batch`] |
//! | who is dispatched next | [`fair`] |
//! | what a submission may hold | [`spec`] |
//! | what is told to webhooks, and when again | [`webhook`] |
//! | what the stored records must agree on | [`audit`] |

pub mod audit;
pub mod band;
pub mod batch;
pub mod change;
pub mod charge;
pub mod code;
pub mod fair;
pub mod id;
pub mod name;
pub mod retry;
pub mod scope;
pub mod spec;
pub mod state;
pub mod time;
pub mod transition;
pub mod webhook;

pub use band::Band;
pub use batch::{BatchState, Counts};
pub use change::{AttemptEnd, Change, Cost, JobError, LockedJob, Run};
pub use charge::{Loss, Ruling, RunPlace, Tally, charge, charge_parking};
pub use code::ErrorCode;
pub use id::{BatchId, JobId, KeyId, TenantId, WebhookId, WorkerBootId};
pub use name::{JobKind, Pool};
pub use retry::RetryPolicy;
pub use scope::Scope;
pub use spec::{Dependency, InvalidJob, NewBatch, NewJob};
pub use state::JobState;
pub use time::Timestamp;
pub use transition::{Event, Illegal, transition};
pub use webhook::{DeliveryRuling, DeliveryState, Disabled, EventId, WebhookKind};
