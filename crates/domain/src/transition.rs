//! The only way to change a job's state.
//!
//! Pause and re-band are properties of the batch: they stop or move dispatch, and touch no state of a job.

use crate::JobState;

/// What happened to a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Event {
    /// What it waited for is done.
    Unblocked,
    /// What it waited for is done, and its own time is still to come.
    UnblockedLater,
    /// What it waited for can no longer succeed.
    DependencyFailed,
    /// Its time has come.
    Due,
    /// A worker took it: the epoch rises.
    Claimed,
    /// Its worker lives. Not logged.
    Renewed,
    /// Its worker committed a result.
    Committed,
    /// It ended without a result and may not run again.
    Failed,
    /// Its run failed and it may run again after a backoff.
    BackedOff,
    /// Its worker gave it up with its state exported.
    HandedOver,
    /// Its worker is gone or frozen.
    LeaseLost,
    /// Somebody asked to cancel it while it ran; its worker is told.
    CancelRequested,
    /// It was called off.
    Canceled,
    /// Its deadline passed.
    DeadlinePassed,
    /// The broker gave up on its ticket; another try after a backoff.
    Parked,
    /// The broker gave up on its ticket once too often.
    Undeliverable,
    /// A user asked for another run: the epoch rises.
    Retried,
    /// A user asked for another run of a job that still has to wait for others: the epoch rises.
    RetriedBlocked,
}

impl Event {
    /// All events.
    pub const ALL: [Self; 18] = [
        Self::Unblocked,
        Self::UnblockedLater,
        Self::DependencyFailed,
        Self::Due,
        Self::Claimed,
        Self::Renewed,
        Self::Committed,
        Self::Failed,
        Self::BackedOff,
        Self::HandedOver,
        Self::LeaseLost,
        Self::CancelRequested,
        Self::Canceled,
        Self::DeadlinePassed,
        Self::Parked,
        Self::Undeliverable,
        Self::Retried,
        Self::RetriedBlocked,
    ];

    /// The stable name, as it stands in the log.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Unblocked => "unblocked",
            Self::UnblockedLater => "unblocked_later",
            Self::DependencyFailed => "dependency_failed",
            Self::Due => "due",
            Self::Claimed => "claimed",
            Self::Renewed => "renewed",
            Self::Committed => "committed",
            Self::Failed => "failed",
            Self::BackedOff => "backed_off",
            Self::HandedOver => "handed_over",
            Self::LeaseLost => "lease_lost",
            Self::CancelRequested => "cancel_requested",
            Self::Canceled => "canceled",
            Self::DeadlinePassed => "deadline_passed",
            Self::Parked => "parked",
            Self::Undeliverable => "undeliverable",
            Self::Retried => "retried",
            Self::RetriedBlocked => "retried_blocked",
        }
    }

    /// The event of a stable name.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|event| event.code() == code)
    }

    /// Whether the job gets a new fencing number.
    pub const fn raises_epoch(self) -> bool {
        matches!(self, Self::Claimed | Self::Retried | Self::RetriedBlocked)
    }
}

/// An event that cannot happen in a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a job that is {} cannot be {}", .state.code(), .event.code())]
pub struct Illegal {
    /// The state that the job is in.
    pub state: JobState,
    /// What was to happen.
    pub event: Event,
}

/// The state after an event.
///
/// # Errors
/// If the event cannot happen in this state. Nothing else may decide that.
pub const fn transition(state: JobState, event: Event) -> Result<JobState, Illegal> {
    use Event as E;
    use JobState as S;
    Ok(match (state, event) {
        (S::Blocked, E::Unblocked) => S::Queued,
        (S::Blocked, E::UnblockedLater) => S::Scheduled,
        (S::Blocked, E::DependencyFailed) => S::Failed,
        (S::Scheduled, E::Due) => S::Queued,
        (S::Queued, E::Claimed) => S::Running,
        (S::Queued, E::Parked) => S::Scheduled,
        (S::Queued, E::Undeliverable) => S::Failed,
        (S::Running, E::Renewed | E::CancelRequested) => S::Running,
        (S::Running, E::Committed) => S::Succeeded,
        (S::Running, E::Failed) => S::Failed,
        (S::Running, E::BackedOff) => S::Scheduled,
        (S::Running, E::HandedOver | E::LeaseLost) => S::Queued,
        (S::Blocked | S::Queued | S::Scheduled | S::Running, E::Canceled) => S::Canceled,
        (S::Blocked | S::Queued | S::Scheduled, E::DeadlinePassed) => S::Expired,
        (S::Failed | S::Canceled | S::Expired, E::Retried) => S::Queued,
        (S::Failed | S::Canceled | S::Expired, E::RetriedBlocked) => S::Blocked,
        _ => return Err(Illegal { state, event }),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_event() -> impl Strategy<Value = Event> {
        prop::sample::select(Event::ALL.to_vec())
    }

    fn legal(state: JobState) -> Vec<Event> {
        Event::ALL.into_iter().filter(|event| transition(state, *event).is_ok()).collect()
    }

    #[test]
    fn nothing_leaves_success() {
        assert_eq!(legal(JobState::Succeeded), []);
    }

    #[test]
    fn only_a_retry_leaves_the_other_ends() {
        for state in [JobState::Failed, JobState::Canceled, JobState::Expired] {
            assert_eq!(legal(state), [Event::Retried, Event::RetriedBlocked]);
        }
    }

    #[test]
    fn a_job_starts_only_from_the_queue_and_succeeds_only_from_a_run() {
        for state in JobState::ALL {
            assert_eq!(transition(state, Event::Claimed).is_ok(), state == JobState::Queued);
            assert_eq!(transition(state, Event::Committed).is_ok(), state == JobState::Running);
        }
    }

    #[test]
    fn every_state_that_is_not_terminal_can_be_canceled() {
        for state in JobState::ALL {
            assert_eq!(transition(state, Event::Canceled).is_ok(), !state.is_terminal());
        }
    }

    #[test]
    fn names_are_unique_and_read_back() {
        for event in Event::ALL {
            assert_eq!(Event::from_code(event.code()), Some(event));
        }
        for state in JobState::ALL {
            assert_eq!(JobState::from_code(state.code()), Some(state));
        }
    }

    proptest! {
        /// Whatever is tried, a job that runs was claimed last among the events that move it, and a terminal
        /// state is left by a retry alone.
        #[test]
        fn random_events_keep_the_invariants(events in prop::collection::vec(any_event(), 0..200)) {
            let (mut state, mut epoch, mut last) = (JobState::Queued, 0_u32, Event::Unblocked);
            for event in events {
                match transition(state, event) {
                    Err(illegal) => prop_assert_eq!(illegal, Illegal { state, event }),
                    Ok(next) => {
                        prop_assert!(!state.is_terminal() || event.raises_epoch());
                        epoch += u32::from(event.raises_epoch());
                        if next != state {
                            last = event;
                        }
                        state = next;
                        prop_assert!(state != JobState::Running || (last == Event::Claimed && epoch > 0));
                    }
                }
            }
        }
    }
}
