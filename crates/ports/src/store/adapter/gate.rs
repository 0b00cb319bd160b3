//! Whether a ticket is worth a run.

use retouch_domain::{Band, BatchState, JobState, LockedJob, WorkerBootId};

use crate::store::{Claimed, Refusal, Ticket};

/// Who holds the lease of a running job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holder {
    /// The worker.
    pub boot: WorkerBootId,
    /// Whether the lease has expired.
    pub expired: bool,
}

/// Everything that a claim looks at.
#[derive(Debug, Clone, PartialEq)]
pub struct TicketRow {
    /// The job, locked.
    pub locked: LockedJob,
    /// Who runs it.
    pub holder: Option<Holder>,
    /// The batch's band.
    pub band: Band,
    /// The batch's dispatch is stopped.
    pub paused: bool,
    /// The batch was called off.
    pub batch_canceled: bool,
    /// The batch's state.
    pub batch_state: BatchState,
    /// The deadline has passed.
    pub past_deadline: bool,
    /// What a worker gets; its epoch and number of starts are those before the claim.
    pub claimed: Claimed,
}

impl TicketRow {
    /// Why the job is not to be claimed with this ticket; none if it is.
    pub fn refusal(&self, ticket: &Ticket) -> Option<Refusal> {
        if self.locked.tenant != ticket.tenant {
            return Some(Refusal::Unknown);
        }
        match self.locked.state {
            // The run that this ticket began, or one that followed it.
            JobState::Running => return Some(Refusal::Running),
            JobState::Queued => {}
            other => return Some(Refusal::NotQueued(other)),
        }
        if self.locked.epoch != ticket.epoch {
            return Some(Refusal::Stale);
        }
        self.closed(ticket.band)
    }

    /// Why nothing of the batch is to be started from this band's queue.
    pub fn closed(&self, band: Band) -> Option<Refusal> {
        if self.batch_canceled {
            Some(Refusal::Canceled)
        } else if self.paused || self.batch_state != BatchState::Open {
            Some(Refusal::Paused)
        } else if self.past_deadline {
            Some(Refusal::Expired)
        } else {
            (self.band != band).then_some(Refusal::Moved(self.band))
        }
    }
}
