//! Typed ids. Each is a UUIDv7 that the process makes before it stores anything, through the port `Ids`.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

/// A text that is no id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a {kind} id; an id is a UUID such as 0190d6f2-7b5e-7c3a-9f62-5d0b7a3c1e4f")]
pub struct InvalidId {
    /// Which id was expected.
    pub kind: &'static str,
    /// What was given.
    pub text: String,
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $kind:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Uuid);

        impl $name {
            /// The id behind a stored or freshly made UUID.
            pub const fn new(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The UUID.
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl From<Uuid> for $name {
            fn from(uuid: Uuid) -> Self {
                Self(uuid)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                let invalid = |_| InvalidId { kind: $kind, text: text.chars().take(64).collect() };
                Uuid::try_parse(text).map(Self).map_err(invalid)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($kind, ":{}"), self.0)
            }
        }
    )*};
}

ids! {
    /// One unit of work for one worker.
    JobId = "job";
    /// A submission: many jobs, one owner, one progress.
    BatchId = "batch";
    /// Who owns keys, jobs, files and limits.
    TenantId = "tenant";
    /// A key of the API.
    KeyId = "key";
    /// An endpoint of a user's that is told of events.
    WebhookId = "webhook";
    /// One life of one worker process. Never a host name: a restarted process is another worker.
    WorkerBootId = "worker boot";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_what_it_prints() {
        let id = JobId::new(Uuid::from_u128(7));
        assert_eq!(id.to_string().parse(), Ok(id));
    }

    #[test]
    fn what_is_no_id_is_told_by_its_kind() {
        let error = "7".parse::<BatchId>().unwrap_err().to_string();
        assert!(error.contains("\"7\" is not a batch id"), "{error}");
    }
}
