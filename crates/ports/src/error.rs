//! How a port fails: callers decide by [`PortErrorKind`], never by backend.

use std::error::Error as StdError;
use std::fmt;

/// What a caller can do about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PortErrorKind {
    /// What was named is not there.
    NotFound,
    /// What was to be made is there already, or the state does not allow the change.
    Conflict,
    /// The input can never be accepted as it is.
    Invalid,
    /// Credentials are missing, wrong or too weak.
    Unauthorized,
    /// Nobody answers, or the connection broke; the same call may succeed later.
    Unavailable,
    /// No answer in time; whether the call took effect is unknown.
    Timeout,
    /// Nothing more can be stored: a full disk, a quota, a limit of connections.
    Full,
    /// The backend's schema, topology or version is not what this build needs.
    Incompatible,
    /// The backend is compiled out, or cannot do this.
    Unsupported,
    /// What is stored is damaged or contradicts itself.
    Corrupt,
    /// A fault of this program.
    Internal,
}

impl PortErrorKind {
    /// The stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::Invalid => "invalid",
            Self::Unauthorized => "unauthorized",
            Self::Unavailable => "unavailable",
            Self::Timeout => "timeout",
            Self::Full => "full",
            Self::Incompatible => "incompatible",
            Self::Unsupported => "unsupported",
            Self::Corrupt => "corrupt",
            Self::Internal => "internal",
        }
    }

    /// Whether the same call may succeed later without anybody changing anything.
    pub const fn is_transient(self) -> bool {
        matches!(self, Self::Unavailable | Self::Timeout)
    }
}

/// A failed call of a port: its kind, what was tried with which values, and the cause.
///
/// The cause is not part of the text; whoever reports the error walks [`StdError::source`].
#[derive(Debug)]
pub struct PortError {
    kind: PortErrorKind,
    message: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl PortError {
    /// A failure that has no deeper cause. `message` says what failed, on what, and what to do.
    pub fn new(kind: PortErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    /// With the cause.
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What a caller can do about it.
    pub const fn kind(&self) -> PortErrorKind {
        self.kind
    }
}

impl fmt::Display for PortError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for PortError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}
