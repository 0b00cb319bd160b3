//! A batch: its states and its counts.

use std::ops::{Add, AddAssign};

use crate::JobState;

/// Where a batch is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum BatchState {
    /// Its rows are being stored; nothing of it is dispatched or counted.
    Loading,
    /// Some of its jobs are not over.
    Open,
    /// All of its jobs are over.
    Completed,
    /// It was called off and all of its jobs are over.
    Canceled,
    /// Its loading was given up.
    Failed,
}

impl BatchState {
    /// All states.
    pub const ALL: [Self; 5] = [Self::Loading, Self::Open, Self::Completed, Self::Canceled, Self::Failed];

    /// The stable name.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Loading => "loading",
            Self::Open => "open",
            Self::Completed => "completed",
            Self::Canceled => "canceled",
            Self::Failed => "failed",
        }
    }

    /// The state of a stable name.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.code() == code)
    }

    /// What an open batch with these counts is.
    pub const fn of(counts: &Counts, cancel_requested: bool) -> Self {
        match (counts.live() > 0, cancel_requested) {
            (true, _) => Self::Open,
            (false, true) => Self::Canceled,
            (false, false) => Self::Completed,
        }
    }
}

/// How many jobs of a batch ended how; also the change of that, which may be negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Accepted jobs.
    pub total: i64,
    /// Ended with a result.
    pub succeeded: i64,
    /// Ended with an error.
    pub failed: i64,
    /// Called off.
    pub canceled: i64,
    /// Ended by their deadline.
    pub expired: i64,
}

impl Counts {
    /// The change that `jobs` newly accepted jobs make.
    pub const fn accepted(jobs: i64) -> Self {
        Self { total: jobs, succeeded: 0, failed: 0, canceled: 0, expired: 0 }
    }

    /// The change that one job makes when it goes from one state to another.
    pub fn moved(from: JobState, to: JobState) -> Self {
        let mut change = Self::default();
        if let Some(count) = change.of_state(from) {
            *count -= 1;
        }
        if let Some(count) = change.of_state(to) {
            *count += 1;
        }
        change
    }

    /// Jobs that are not over.
    pub const fn live(&self) -> i64 {
        self.total - self.succeeded - self.failed - self.canceled - self.expired
    }

    /// Whether nothing changes by it.
    pub fn is_zero(&self) -> bool {
        *self == Self::default()
    }

    fn of_state(&mut self, state: JobState) -> Option<&mut i64> {
        match state {
            JobState::Succeeded => Some(&mut self.succeeded),
            JobState::Failed => Some(&mut self.failed),
            JobState::Canceled => Some(&mut self.canceled),
            JobState::Expired => Some(&mut self.expired),
            JobState::Blocked | JobState::Queued | JobState::Scheduled | JobState::Running => None,
        }
    }
}

impl Add for Counts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            total: self.total + other.total,
            succeeded: self.succeeded + other.succeeded,
            failed: self.failed + other.failed,
            canceled: self.canceled + other.canceled,
            expired: self.expired + other.expired,
        }
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Event, transition};

    proptest! {
        /// The sum of the changes is what counting the jobs gives, and never less than nothing.
        #[test]
        fn counts_always_sum(
            steps in prop::collection::vec((0_usize..8, prop::sample::select(Event::ALL.to_vec())), 0..300),
        ) {
            let mut states = [JobState::Queued; 8];
            let mut counts = Counts::accepted(8);
            for (index, event) in steps {
                if let Ok(next) = transition(states[index], event) {
                    counts += Counts::moved(states[index], next);
                    states[index] = next;
                }
                let ended = |wanted| i64::try_from(states.iter().filter(|state| **state == wanted).count()).unwrap();
                prop_assert_eq!(counts.succeeded, ended(JobState::Succeeded));
                prop_assert_eq!(counts.failed, ended(JobState::Failed));
                prop_assert_eq!(counts.canceled, ended(JobState::Canceled));
                prop_assert_eq!(counts.expired, ended(JobState::Expired));
                let live = states.iter().any(|state| !state.is_terminal());
                prop_assert_eq!(BatchState::of(&counts, false) == BatchState::Open, live);
            }
        }
    }
}
