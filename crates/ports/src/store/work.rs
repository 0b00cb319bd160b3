//! A worker's side: claim, renew, commit.

use std::time::Duration;

use async_trait::async_trait;
use retouch_domain::{
    Band, BatchId, Cost, JobError, JobId, JobKind, JobState, Loss, NewJob, TenantId, WorkerBootId,
};
use serde_json::Value;

use super::{Result, Ticket};

/// Who asks, and for how long a lease lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseTerms {
    /// The worker.
    pub boot: WorkerBootId,
    /// How long the lease lasts without a renewal.
    pub length: Duration,
}

/// A run of a job: what each write of a worker must match.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fence {
    /// The job.
    pub job: JobId,
    /// The fencing number that the claim gave.
    pub epoch: u32,
}

/// A job to be done, as its worker gets it.
#[derive(Debug, Clone, PartialEq)]
pub struct Claimed {
    /// The run.
    pub fence: Fence,
    /// Its owner.
    pub tenant: TenantId,
    /// Its batch.
    pub batch: BatchId,
    /// What is to be done.
    pub kind: JobKind,
    /// The version of the payload.
    pub version: u16,
    /// What the kind needs to know.
    pub payload: Value,
    /// References of the files that it reads.
    pub inputs: Vec<String>,
    /// Its shape.
    pub shape: String,
    /// How long it may run.
    pub timeout: Duration,
    /// Which start this is, from 1.
    pub starts: u32,
    /// It must have the device for itself.
    pub alone: bool,
    /// What an earlier run handed over.
    pub export: Option<Vec<u8>>,
}

/// Why a ticket is not worth anything (any more). In each case the ticket is to be acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The batch is paused; the job gets a ticket when it goes on.
    Paused,
    /// The batch is in another band now; the job gets a ticket there.
    Moved(Band),
    /// The batch was called off.
    Canceled,
    /// The deadline has passed.
    Expired,
    /// The job is of another epoch.
    Stale,
    /// The job runs. If the ticket was redelivered, see [`Work::take_over`].
    Running,
    /// The job is in a state that nobody claims from.
    NotQueued(JobState),
    /// The tenant has no such job.
    Unknown,
}

impl Refusal {
    /// Whether the job is to get another ticket when it may run: its dispatch is unmarked.
    pub const fn voids_the_ticket(&self) -> bool {
        matches!(self, Self::Paused | Self::Moved(_) | Self::Canceled | Self::Expired)
    }
}

/// What became of a ticket.
#[derive(Debug, Clone, PartialEq)]
pub enum Claim {
    /// The job is the caller's.
    Claimed(Box<Claimed>),
    /// It is not.
    Refused(Refusal),
}

/// What became of a redelivered ticket of a running job.
#[derive(Debug, Clone, PartialEq)]
pub enum TakeOver {
    /// It is the caller's own run: go on, in the same epoch.
    Readopted(Fence),
    /// The former run is over, and the job is the caller's in a new epoch.
    Claimed(Box<Claimed>),
    /// The former run is over, and the job is not to be run now.
    Ended(JobState),
    /// The holder may live; acknowledge and drop the ticket. If its liveness lock is free, ask again and say so.
    Held(WorkerBootId),
    /// The job does not run.
    Refused(Refusal),
}

/// A sign of life of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Beat {
    /// The run.
    pub fence: Fence,
    /// Whether its row is on the device: then a crash makes it a suspect. Once set it stays.
    pub on_device: bool,
    /// Steps done.
    pub step: u32,
    /// Steps in all; 0 while not known.
    pub steps: u32,
}

/// What a worker learns from a sign of life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Go on.
    Continue,
    /// Hand the job over.
    HandOver,
    /// Stop, and end the run with [`Work::release_canceled`].
    Cancel,
    /// It has run longer than it may: end it as [`Loss::Timeout`].
    TimedOut,
    /// The run is not the caller's any more: drop it, write nothing.
    Lost,
}

/// A result.
#[derive(Debug, Clone, PartialEq)]
pub struct Completion {
    /// The run.
    pub fence: Fence,
    /// What becomes visible: references under `…/{job}/{epoch}/…`, and what the kind reports.
    pub output: Value,
    /// What the run cost.
    pub cost: Cost,
    /// Jobs that come into being with the result, in the same batch.
    pub children: Vec<NewJob>,
}

/// A run that ended without a result.
#[derive(Debug, Clone, PartialEq)]
pub struct Failure {
    /// The run.
    pub fence: Fence,
    /// Why.
    pub loss: Loss,
    /// Its code and message.
    pub error: JobError,
    /// What the run cost.
    pub cost: Cost,
}

/// A run that its worker gives up without fault of the job.
#[derive(Debug, Clone, PartialEq)]
pub struct HandOver {
    /// The run.
    pub fence: Fence,
    /// The exported state, for whoever goes on.
    pub export: Option<Vec<u8>>,
    /// What the run cost.
    pub cost: Cost,
}

/// How a write about a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It took effect; the job is in this state now.
    Now(JobState),
    /// The run is not the caller's any more: nothing was changed.
    Stale,
}

/// For workers. Answers are in the order of the arguments.
#[async_trait]
pub trait Work: Send + Sync {
    /// Claims jobs: `queued` → `running`, epoch + 1, a lease. A refusal that
    /// [voids the ticket](Refusal::voids_the_ticket) unmarks the job's dispatch.
    async fn claim(&self, terms: &LeaseTerms, tickets: &[Ticket]) -> Result<Vec<Claim>>;

    /// Decides about a redelivered ticket: re-adopts the caller's own run, takes over if the lease has expired or
    /// `holder_dead` says that the holder's liveness lock was found free, leaves it else. `random` is uniform in 0..1.
    async fn take_over(
        &self,
        terms: &LeaseTerms,
        ticket: &Ticket,
        holder_dead: Option<WorkerBootId>,
        random: f64,
    ) -> Result<TakeOver>;

    /// Renews leases and records progress; touches nothing but the narrow table of leases.
    async fn renew(&self, terms: &LeaseTerms, beats: &[Beat]) -> Result<Vec<Signal>>;

    /// Makes results visible, adds children, unblocks what waited. Wins over a cancel that was only asked for.
    ///
    /// # Errors
    /// `Invalid` if an output or a child breaks a limit: then nothing of the call took effect.
    async fn commit(&self, completions: &[Completion]) -> Result<Vec<Ended>>;

    /// Ends runs without result; what follows is ruled by [`retouch_domain::charge()`]. `random` is uniform in 0..1.
    async fn fail(&self, failures: &[Failure], random: f64) -> Result<Vec<Ended>>;

    /// Puts runs back with their state: drain, preemption, spot notice. Uncharged.
    ///
    /// # Errors
    /// `Invalid` if a state is too large: then nothing of the call took effect.
    async fn hand_over(&self, hand_overs: &[HandOver]) -> Result<Vec<Ended>>;

    /// Ends runs that somebody asked to cancel.
    async fn release_canceled(&self, runs: &[(Fence, Cost)]) -> Result<Vec<Ended>>;
}
