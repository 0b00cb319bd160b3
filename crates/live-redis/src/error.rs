//! What Redis' errors mean to callers.

use redis::{ErrorKind, RedisError};
use retouch_ports::{PortError, PortErrorKind};

/// The error of a port for a failed call of Redis.
pub(crate) fn failed(what: &str, error: RedisError) -> PortError {
    let kind = kind(&error);
    let advice = match kind {
        PortErrorKind::Unauthorized => ": check user and password in the URL of the live state",
        PortErrorKind::Unavailable => ": Redis is not reached",
        PortErrorKind::Full => ": Redis is out of memory; raise maxmemory or let it evict keys",
        _ => "",
    };
    PortError::new(kind, format!("{what} failed{advice}")).with_source(error)
}

fn kind(error: &RedisError) -> PortErrorKind {
    match error.code() {
        Some("WRONGPASS" | "NOAUTH" | "NOPERM") => return PortErrorKind::Unauthorized,
        Some("OOM") => return PortErrorKind::Full,
        Some("LOADING" | "BUSY" | "MASTERDOWN" | "CLUSTERDOWN" | "TRYAGAIN" | "READONLY") => {
            return PortErrorKind::Unavailable;
        }
        _ => {}
    }
    match error.kind() {
        ErrorKind::AuthenticationFailed => PortErrorKind::Unauthorized,
        ErrorKind::InvalidClientConfig => PortErrorKind::Invalid,
        ErrorKind::Io => PortErrorKind::Unavailable,
        _ if error.is_connection_dropped() || error.is_timeout() => PortErrorKind::Unavailable,
        _ => PortErrorKind::Internal,
    }
}
