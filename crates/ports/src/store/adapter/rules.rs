//! What follows from what an adapter has read: claims, take-overs, waiting jobs, reaping, folding.

use std::collections::{HashMap, HashSet};

use retouch_domain::{
    BatchId, BatchState, Change, Cost, Counts, Event, Illegal, JobId, JobState, LockedJob, Loss, TenantId,
    WorkerBootId,
};

use super::{TicketRow, conflict, illegal};
use crate::store::{
    BatchOver, Claim, Claimed, Ended, Fence, LeaseTerms, Refusal, Result, Signal, TakeOver, Ticket,
};
use crate::{PortError, PortErrorKind};

/// What becomes of the tickets of one claim.
#[derive(Debug)]
pub struct Claims {
    /// The answers; runs are not begun yet.
    answers: Vec<Claim>,
    /// What is to be started.
    pub taken: Vec<TicketRow>,
    /// Whose dispatch is to be unmarked, so that they get another ticket when it is worth one.
    pub void: Vec<Fence>,
}

impl Claims {
    /// Judges tickets by the rows of their jobs.
    pub fn judge(tickets: &[Ticket], rows: Vec<TicketRow>) -> Self {
        let mut rows: HashMap<JobId, TicketRow> = rows.into_iter().map(|row| (row.locked.job, row)).collect();
        let mut taken_before = HashSet::new();
        let mut claims =
            Self { answers: Vec::with_capacity(tickets.len()), taken: Vec::new(), void: Vec::new() };
        for ticket in tickets {
            let refusal = match rows.get(&ticket.job) {
                Some(row) => row.refusal(ticket),
                None if taken_before.contains(&ticket.job) => Some(Refusal::Running),
                None => Some(Refusal::Unknown),
            };
            let answer = match (refusal, refusal.is_none().then(|| rows.remove(&ticket.job)).flatten()) {
                (None, Some(row)) => {
                    taken_before.insert(ticket.job);
                    let claimed = row.claimed.clone();
                    claims.taken.push(row);
                    Claim::Claimed(Box::new(claimed))
                }
                (refusal, _) => {
                    let refusal = refusal.unwrap_or(Refusal::Unknown);
                    if refusal.voids_the_ticket() {
                        claims.void.push(Fence { job: ticket.job, epoch: ticket.epoch });
                    }
                    Claim::Refused(refusal)
                }
            };
            claims.answers.push(answer);
        }
        claims
    }

    /// The answers, with the runs that have begun in the order of [`Self::taken`].
    pub fn answers(self, runs: Vec<Claimed>) -> Vec<Claim> {
        let mut runs = runs.into_iter();
        let answer = |claim| match claim {
            Claim::Claimed(claimed) => Claim::Claimed(runs.next().map_or(claimed, Box::new)),
            refused => refused,
        };
        self.answers.into_iter().map(answer).collect()
    }
}

/// Queued jobs become runs: what is to be written, and what the workers get.
pub fn start(rows: Vec<TicketRow>) -> Result<(Vec<Change>, Vec<Claimed>)> {
    let mut changes = Vec::with_capacity(rows.len());
    let mut runs = Vec::with_capacity(rows.len());
    for row in rows {
        let change = row.locked.change(Event::Claimed).map_err(illegal)?;
        let fence = Fence { job: change.before.job, epoch: change.epoch };
        runs.push(Claimed { fence, starts: change.tally.starts, ..row.claimed });
        changes.push(change);
    }
    Ok((changes, runs))
}

/// What is to be done about a redelivered ticket.
#[derive(Debug)]
pub enum TakingOver {
    /// Nothing is to be written.
    Done(TakeOver),
    /// The caller's own lease is to be renewed.
    Readopt(Fence),
    /// The run is over: this is to be written, and then the job started again if there is a row.
    Lost(Box<Change>, Option<Box<TicketRow>>),
}

impl TakingOver {
    /// Judges a ticket by the row of its job, if there is one.
    pub fn judge(
        terms: &LeaseTerms,
        ticket: &Ticket,
        row: Option<TicketRow>,
        holder_dead: Option<WorkerBootId>,
        random: f64,
    ) -> Result<Self> {
        let Some(row) = row else { return Ok(Self::Done(TakeOver::Refused(Refusal::Unknown))) };
        let holder = match (row.refusal(ticket), row.holder) {
            (Some(Refusal::Running), Some(holder)) => holder,
            (refusal, _) => {
                return Ok(Self::Done(TakeOver::Refused(refusal.unwrap_or(Refusal::Stale))));
            }
        };
        if holder.boot == terms.boot {
            return Ok(Self::Readopt(Fence { job: ticket.job, epoch: row.locked.epoch }));
        }
        let loss = match (holder_dead == Some(holder.boot), holder.expired) {
            (true, _) => Loss::Crash,
            (false, true) => Loss::LeaseExpired,
            (false, false) => return Ok(Self::Done(TakeOver::Held(holder.boot))),
        };
        let lost = row.locked.clone().lost(loss, None, Cost::default(), random).map_err(illegal)?;
        let again = (lost.state == JobState::Queued && row.closed(ticket.band).is_none())
            .then(|| Box::new(TicketRow { locked: lost.after(), holder: None, ..row }));
        Ok(Self::Lost(Box::new(lost), again))
    }
}

/// What a job waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Waits {
    /// Something of it is still to come.
    pub unmet: bool,
    /// Something of it can no longer succeed.
    pub doomed: bool,
}

/// What becomes of jobs after something that they wait for has ended: those that are blocked go on or fail.
pub fn follow(jobs: Vec<LockedJob>, waits: &HashMap<JobId, Waits>) -> Result<Vec<Change>> {
    let follow = |job: LockedJob| {
        let waits = waits.get(&job.job).copied().unwrap_or_default();
        let event = match (waits.doomed, waits.unmet, job.later) {
            _ if job.state != JobState::Blocked => return None,
            (true, _, _) => Event::DependencyFailed,
            (false, true, _) => return None,
            (false, false, true) => Event::UnblockedLater,
            (false, false, false) => Event::Unblocked,
        };
        Some(job.change(event).map_err(illegal))
    };
    jobs.into_iter().filter_map(follow).collect()
}

/// Another run for jobs that ended without success.
///
/// # Errors
/// `Conflict` if one of them waits for something that can no longer succeed: it would wait for ever.
pub fn retried(jobs: Vec<LockedJob>, waits: &HashMap<JobId, Waits>) -> Result<Vec<Change>> {
    let retried = |job: LockedJob| {
        let waits = waits.get(&job.job).copied().unwrap_or_default();
        if waits.doomed {
            let job = job.job;
            let text =
                format!("job {job} waits for a job or batch that ended without success: retry that first");
            return Err(conflict(text));
        }
        job.change(if waits.unmet { Event::RetriedBlocked } else { Event::Retried }).map_err(illegal)
    };
    jobs.into_iter().map(retried).collect()
}

/// Whether a user may ask for another run.
pub const fn may_be_retried(state: JobState) -> bool {
    state.is_terminal() && !matches!(state, JobState::Succeeded)
}

/// Every job by the same rule.
pub fn each(
    jobs: Vec<LockedJob>,
    rule: impl Fn(LockedJob) -> std::result::Result<Change, Illegal>,
) -> Result<Vec<Change>> {
    jobs.into_iter().map(rule).collect::<std::result::Result<_, _>>().map_err(illegal)
}

/// Those of the jobs that run, by their runs.
pub fn runs(locked: Vec<LockedJob>) -> HashMap<Fence, LockedJob> {
    let running = locked.into_iter().filter(|job| job.state == JobState::Running);
    running.map(|job| (Fence { job: job.job, epoch: job.epoch }, job)).collect()
}

/// What is written about runs that end, and what their workers are told.
pub fn end(
    fences: &[Fence],
    mut runs: HashMap<Fence, LockedJob>,
    rule: impl Fn(usize, LockedJob) -> std::result::Result<Change, Illegal>,
) -> Result<(Vec<Change>, Vec<Ended>)> {
    let (mut changes, mut ended) = (Vec::new(), Vec::with_capacity(fences.len()));
    for (index, fence) in fences.iter().enumerate() {
        let Some(job) = runs.remove(fence) else {
            ended.push(Ended::Stale);
            continue;
        };
        let change = rule(index, job).map_err(illegal)?;
        ended.push(Ended::Now(change.state));
        changes.push(change);
    }
    Ok((changes, ended))
}

/// The end of a run by a cancel.
pub fn canceled(job: LockedJob, cost: Cost) -> std::result::Result<Change, Illegal> {
    let mut change = job.change(Event::Canceled)?;
    if let Some(attempt) = &mut change.attempt {
        attempt.cost = cost;
    }
    Ok(change)
}

/// How a run was lost whose lease is to be reaped.
pub const fn reaped(holder_dead: bool, expired: bool) -> Loss {
    match (holder_dead, expired) {
        (true, _) => Loss::Crash,
        (false, true) => Loss::LeaseExpired,
        // Neither: it has run longer than it may.
        (false, false) => Loss::Timeout,
    }
}

/// What a lease's columns tell its worker.
pub const fn signal(signal: i64, timed_out: bool) -> Signal {
    match (signal, timed_out) {
        (2, _) => Signal::Cancel,
        (_, true) => Signal::TimedOut,
        (1, false) => Signal::HandOver,
        _ => Signal::Continue,
    }
}

/// A batch and the changes of its counts, locked.
#[derive(Debug, Clone, Copy)]
pub struct Unfolded {
    /// The batch.
    pub batch: BatchId,
    /// Its owner.
    pub tenant: TenantId,
    /// Its state.
    pub state: BatchState,
    /// Which time it is open.
    pub generation: u32,
    /// It was called off.
    pub cancel_requested: bool,
    /// Its counts with the changes.
    pub counts: Counts,
}

impl Unfolded {
    /// The state after folding.
    pub const fn folded(&self) -> BatchState {
        match self.state {
            BatchState::Open => BatchState::of(&self.counts, self.cancel_requested),
            other => other,
        }
    }

    /// What is told if the batch is over now.
    pub fn over(&self) -> Option<BatchOver> {
        let state = self.folded();
        let over = self.state == BatchState::Open && state != BatchState::Open;
        over.then_some(BatchOver {
            batch: self.batch,
            tenant: self.tenant,
            state,
            generation: self.generation,
        })
    }
}

/// A claimed job without a run.
pub fn no_run(job: JobId) -> PortError {
    PortError::new(PortErrorKind::Internal, format!("the claim of job {job} has no run"))
}
