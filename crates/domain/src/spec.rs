//! What a submission may hold, and its limits.

use std::time::Duration;

use serde_json::Value;

use crate::{Band, BatchId, JobId, JobKind, JobState, Pool, RetryPolicy, TenantId, Timestamp};

/// The most bytes of a payload, and of an output, as JSON.
pub const MAX_JSON_BYTES: usize = 64 * 1024;
/// The most bytes of a key, a label or a shape.
pub const MAX_TEXT_BYTES: usize = 200;
/// The most references to inputs.
pub const MAX_INPUTS: usize = 64;
/// The most bytes of one reference to an input.
pub const MAX_INPUT_BYTES: usize = 1024;
/// The most jobs and batches that a job waits for.
pub const MAX_DEPENDENCIES: usize = 1000;
/// The most rows of one call that stores jobs: submission, part of a bulk, children.
pub const MAX_ROWS: usize = 5000;
/// The most bytes of a state that a worker hands over.
pub const MAX_EXPORT_BYTES: usize = 16 * 1024 * 1024;
/// The longest run that a job may ask for.
pub const MAX_TIMEOUT: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// What a job waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Dependency {
    /// A job of the same tenant has succeeded.
    Job(JobId),
    /// A batch of the same tenant is completed, however its jobs ended.
    Batch(BatchId),
}

/// A batch to be made.
#[derive(Debug, Clone, PartialEq)]
pub struct NewBatch {
    /// Made by the submitter.
    pub id: BatchId,
    /// Whose it is.
    pub tenant: TenantId,
    /// The band of all of its jobs.
    pub band: Band,
    /// What its owner calls it.
    pub label: Option<String>,
    /// What the service that made it keeps with it, such as where its rows are spooled.
    pub meta: Value,
}

/// A job to be stored.
#[derive(Debug, Clone, PartialEq)]
pub struct NewJob {
    /// Made by the submitter.
    pub id: JobId,
    /// The tenant's own name for it: no two jobs of a tenant have the same.
    pub key: Option<String>,
    /// What is to be done.
    pub kind: JobKind,
    /// The version of the payload's layout. A worker refuses versions that it does not know.
    pub version: u16,
    /// What the kind needs to know.
    pub payload: Value,
    /// References of the files that it reads; retention keeps them while the job lives.
    pub inputs: Vec<String>,
    /// Which workers can run it.
    pub pool: Pool,
    /// Jobs of one shape (model and size) are dispatched in runs. May be empty.
    pub shape: String,
    /// The estimated time on the device in milliseconds, at least 1: what fairness counts.
    pub cost_ms: u32,
    /// Not before this.
    pub run_at: Option<Timestamp>,
    /// It expires if it has not started by then.
    pub deadline: Option<Timestamp>,
    /// How long one run may take.
    pub timeout: Duration,
    /// When a failed run may be tried again.
    pub retry: RetryPolicy,
    /// What it waits for.
    pub after: Vec<Dependency>,
}

/// Why a job cannot be accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidJob {
    /// A part is too large.
    #[error("the {part} has {bytes} bytes; at most {limit} are accepted")]
    TooLarge {
        /// Which part.
        part: &'static str,
        /// How large it is.
        bytes: usize,
        /// How large it may be.
        limit: usize,
    },
    /// A list is too long.
    #[error("there are {count} {part}; at most {limit} are accepted")]
    TooMany {
        /// What is listed.
        part: &'static str,
        /// How many there are.
        count: usize,
        /// How many there may be.
        limit: usize,
    },
    /// A number is outside of its range.
    #[error("the {part} is {value}; it must be {range}")]
    OutOfRange {
        /// Which number.
        part: &'static str,
        /// What it is.
        value: String,
        /// What it may be.
        range: &'static str,
    },
    /// A text holds the character NUL, which not every database can store.
    #[error("the {part} holds the character NUL")]
    Nul {
        /// Which text.
        part: &'static str,
    },
    /// What it waits for is not there, or is another tenant's.
    #[error("it waits for {dependency:?}, which does not exist")]
    UnknownDependency {
        /// What it waits for.
        dependency: Dependency,
    },
    /// What it waits for has ended without success.
    #[error("it waits for {dependency:?}, which has ended without success")]
    FailedDependency {
        /// What it waits for.
        dependency: Dependency,
    },
    /// The id is another job's.
    #[error("the id {id} is already in use")]
    IdInUse {
        /// The id.
        id: JobId,
    },
    /// The key is that of a row of a batch that is still loading, which may yet be given up.
    #[error(
        "the key is that of job {of} in a batch that is still loading; send the row again when that is over"
    )]
    KeyLoading {
        /// Who has the key now.
        of: JobId,
    },
}

impl InvalidJob {
    /// The stable code.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "too_large",
            Self::TooMany { .. } => "too_many",
            Self::OutOfRange { .. } => "out_of_range",
            Self::Nul { .. } => "nul_character",
            Self::UnknownDependency { .. } => "unknown_dependency",
            Self::FailedDependency { .. } => "failed_dependency",
            Self::IdInUse { .. } => "id_in_use",
            Self::KeyLoading { .. } => "key_loading",
        }
    }
}

impl NewJob {
    /// Whether the limits are kept; what depends on stored rows is checked by the store.
    ///
    /// # Errors
    /// The first limit that is broken.
    pub fn check(&self) -> Result<(), InvalidJob> {
        check_text("key", self.key.as_deref().unwrap_or_default())?;
        check_text("shape", &self.shape)?;
        check_json("payload", &self.payload)?;
        check_count("inputs", self.inputs.len(), MAX_INPUTS)?;
        for input in &self.inputs {
            check_bytes("reference to an input", input.len(), MAX_INPUT_BYTES)?;
            check_nul("reference to an input", input)?;
        }
        check_count("dependencies", self.after.len(), MAX_DEPENDENCIES)?;
        let out_of_range = |part, value: String, range| Err(InvalidJob::OutOfRange { part, value, range });
        if self.cost_ms == 0 {
            return out_of_range("estimated cost", "0 ms".to_owned(), "at least 1 ms");
        }
        if self.timeout.is_zero() || self.timeout > MAX_TIMEOUT {
            return out_of_range("timeout", format!("{:?}", self.timeout), "more than 0 and at most 7 days");
        }
        if self.retry.max_attempts == 0 || self.retry.max_attempts > RetryPolicy::MAX_ATTEMPTS {
            return out_of_range("number of attempts", self.retry.max_attempts.to_string(), "1 to 100");
        }
        if self.retry.cap > RetryPolicy::MAX_CAP || self.retry.base > self.retry.cap {
            let value = format!("{:?} to {:?}", self.retry.base, self.retry.cap);
            return out_of_range("backoff", value, "a base up to the cap, and a cap up to 24 hours");
        }
        Ok(())
    }

    /// The state that it is stored in; `unmet` if something that it waits for is still to come.
    pub const fn first_state(&self, unmet: bool) -> JobState {
        match (unmet, self.run_at.is_some()) {
            (true, _) => JobState::Blocked,
            (false, true) => JobState::Scheduled,
            (false, false) => JobState::Queued,
        }
    }
}

impl NewBatch {
    /// Whether the limits are kept.
    ///
    /// # Errors
    /// The first limit that is broken.
    pub fn check(&self) -> Result<(), InvalidJob> {
        check_text("label", self.label.as_deref().unwrap_or_default())?;
        check_json("meta", &self.meta)
    }
}

/// Whether an output, a payload or a batch's `meta` can be stored.
///
/// # Errors
/// If it is too large or holds the character NUL.
pub fn check_json(part: &'static str, value: &Value) -> Result<(), InvalidJob> {
    let text = value.to_string();
    check_bytes(part, text.len(), MAX_JSON_BYTES)?;
    // JSON writes NUL as an escape; an escaped backslash before it makes it harmless, and rare enough to refuse too.
    if text.contains("\\u0000") { Err(InvalidJob::Nul { part }) } else { Ok(()) }
}

fn check_text(part: &'static str, text: &str) -> Result<(), InvalidJob> {
    check_bytes(part, text.len(), MAX_TEXT_BYTES)?;
    check_nul(part, text)
}

fn check_nul(part: &'static str, text: &str) -> Result<(), InvalidJob> {
    if text.contains('\0') { Err(InvalidJob::Nul { part }) } else { Ok(()) }
}

fn check_bytes(part: &'static str, bytes: usize, limit: usize) -> Result<(), InvalidJob> {
    if bytes > limit { Err(InvalidJob::TooLarge { part, bytes, limit }) } else { Ok(()) }
}

fn check_count(part: &'static str, count: usize, limit: usize) -> Result<(), InvalidJob> {
    if count > limit { Err(InvalidJob::TooMany { part, count, limit }) } else { Ok(()) }
}
