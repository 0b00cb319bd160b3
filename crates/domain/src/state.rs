//! The states of a job.

/// Where a job is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum JobState {
    /// Waits for other jobs, or for a whole batch.
    Blocked,
    /// May be dispatched and claimed.
    Queued,
    /// Waits for a time: a backoff, or the time that the submitter asked for.
    Scheduled,
    /// A worker holds its lease.
    Running,
    /// Its result is visible.
    Succeeded,
    /// It ended with a stable error code.
    Failed,
    /// Somebody called it off.
    Canceled,
    /// Its deadline passed before it could start, or start again.
    Expired,
}

impl JobState {
    /// All states.
    pub const ALL: [Self; 8] = [
        Self::Blocked,
        Self::Queued,
        Self::Scheduled,
        Self::Running,
        Self::Succeeded,
        Self::Failed,
        Self::Canceled,
        Self::Expired,
    ];

    /// The stable name.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Blocked => "blocked",
            Self::Queued => "queued",
            Self::Scheduled => "scheduled",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
            Self::Expired => "expired",
        }
    }

    /// The state of a stable name.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.code() == code)
    }

    /// Nothing but a user's retry leaves it.
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Canceled | Self::Expired)
    }

    /// Accepted, and not yet started or not yet started again.
    pub const fn is_waiting(self) -> bool {
        matches!(self, Self::Blocked | Self::Queued | Self::Scheduled)
    }
}
