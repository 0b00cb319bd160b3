//! Stable error codes of failed jobs.

use std::borrow::Cow;
use std::fmt;

/// Why a job failed, for programs. Never changes its meaning; the message beside it is for people.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ErrorCode(Cow<'static, str>);

impl ErrorCode {
    /// It was started too often, whatever the reasons.
    pub const MAX_STARTS: Self = Self(Cow::Borrowed("max_starts"));
    /// The broker could not deliver it.
    pub const UNDELIVERABLE: Self = Self(Cow::Borrowed("undeliverable"));
    /// It killed its worker when it ran alone.
    pub const CRASH: Self = Self(Cow::Borrowed("crash"));
    /// It does not fit the device, even alone.
    pub const OUT_OF_MEMORY: Self = Self(Cow::Borrowed("out_of_memory"));
    /// It ran longer than it may.
    pub const TIMEOUT: Self = Self(Cow::Borrowed("timeout"));
    /// A job or batch that it waits for did not succeed.
    pub const DEPENDENCY_FAILED: Self = Self(Cow::Borrowed("dependency_failed"));

    /// A code of a kind of job, such as `image_unreadable`.
    pub fn new(code: impl Into<Cow<'static, str>>) -> Self {
        Self(code.into())
    }

    /// The code as it is stored.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
