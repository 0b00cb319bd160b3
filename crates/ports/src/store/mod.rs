//! The job store: the truth about every job. One trait per caller; [`JobStore`] is all of them.
//!
//! | caller | trait |
//! |---|---|
//! | who submits | [`Submission`] |
//! | who hands out tickets | [`Dispatch`] |
//! | workers | [`Work`], [`Liveness`] |
//! | users and operators | [`Control`] |
//! | the scheduler's reconcilers | [`Upkeep`], [`Deliveries`] |
//! | who looks | [`Reading`], [`Audit`] |
//! | the API's door | [`Keys`] |
//! | who is to be told of the ends of batches | [`Webhooks`] |
//!
//! # What holds for every method
//! - It is one transaction (methods that work off many rows say that they are several), durable when it returns.
//! - Leases, due times and deadlines run by the database's clock. Callers give lengths of time, never their own clock's
//!   reading.
//! - What a user calls takes the tenant and finds nothing of another tenant's.
//! - Every change of a job's state goes through `retouch_domain`'s [`LockedJob`](retouch_domain::LockedJob) and writes the
//!   job's row, an event, and, where it ends a run, an attempt and the release of the lease: all or nothing.
//! - Fenced: a worker's write names job and epoch, and a stale epoch changes nothing.
//! - Dropping a call's future leaves no transaction open; the call may or may not have taken effect.

use retouch_domain::{Band, JobId, TenantId};

use crate::PortError;

mod account;
pub mod adapter;
mod audit;
mod control;
mod dispatch;
mod keys;
mod liveness;
mod reading;
mod submission;
mod upkeep;
mod webhooks;
mod work;

pub use account::{Account, Seen, TenantAccount};
pub use audit::Audit;
pub use control::{Canceled, Control, Retried, TenantLimits};
pub use dispatch::{Backlog, Dispatch, Dispatched};
pub use keys::{KeyDigest, KeyRecord, Keys, NewKey};
pub use liveness::{Liveness, Presence};
pub use reading::{
    AttemptRecord, BatchFilter, BatchRecord, Cursor, EventRecord, EventScope, JobRecord, Page, Reading,
    RunRecord, UsageDay,
};
pub use submission::{Idempotency, LoadPart, Loading, Opened, Submission, Submitted, Verdict, VerdictTotals};
pub use upkeep::{BatchOver, Orphan, Upkeep};
pub use webhooks::{
    AttemptEnded, Deliveries, DeliveryFence, DeliveryRecord, DueDelivery, NewWebhook, WebhookRecord,
    WebhookSecret, Webhooks,
};
pub use work::{
    Beat, Claim, Claimed, Completion, Ended, Failure, Fence, HandOver, LeaseTerms, Refusal, Signal, TakeOver,
    Work,
};

/// What every method returns.
pub type Result<T> = std::result::Result<T, PortError>;

/// The small message that names a job to workers. The store is the truth: a lost or doubled ticket is harmless.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ticket {
    /// The job.
    pub job: JobId,
    /// Its owner.
    pub tenant: TenantId,
    /// Its epoch when the ticket was made; a claim of another epoch is refused.
    pub epoch: u32,
    /// The band whose queue the ticket is in; a claim from another band is refused.
    pub band: Band,
}

/// The whole store, as `Arc<dyn JobStore>`.
pub trait JobStore:
    Submission + Dispatch + Work + Liveness + Control + Upkeep + Reading + Audit + Keys + Webhooks + Deliveries
{
}

impl<T> JobStore for T where
    T: Submission
        + Dispatch
        + Work
        + Liveness
        + Control
        + Upkeep
        + Reading
        + Audit
        + Keys
        + Webhooks
        + Deliveries
{
}
