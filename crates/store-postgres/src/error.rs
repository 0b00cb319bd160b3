//! From errors of PostgreSQL to errors of the port.

use retouch_ports::{PortError, PortErrorKind};
use sqlx::Error;
use sqlx::migrate::MigrateError;

/// Names what failed. For `map_err`.
pub(crate) fn failed(what: &'static str) -> impl Fn(Error) -> PortError {
    move |error| {
        let (kind, advice) = judge(&error);
        PortError::new(kind, format!("{what} in PostgreSQL failed{advice}")).with_source(error)
    }
}

pub(crate) fn migration_failed(error: MigrateError) -> PortError {
    match error {
        MigrateError::VersionMissing(version) => PortError::new(
            PortErrorKind::Incompatible,
            format!(
                "the database has migration {version}, which this build does not know: use a newer retouch"
            ),
        ),
        MigrateError::VersionMismatch(version) => PortError::new(
            PortErrorKind::Incompatible,
            format!(
                "migration {version} of the database differs from this build's: it was made by a development build"
            ),
        ),
        MigrateError::Execute(error) => failed("migrating the schema")(error),
        other => PortError::new(PortErrorKind::Internal, "migrating the schema in PostgreSQL failed")
            .with_source(other),
    }
}

/// Whether the server ended the transaction for the sake of another: the same call may succeed at once.
pub(crate) fn is_in_the_way(error: &PortError) -> bool {
    let cause = std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<Error>());
    matches!(cause, Some(Error::Database(cause)) if matches!(cause.code().as_deref(), Some("40001" | "40P01")))
}

fn judge(error: &Error) -> (PortErrorKind, &'static str) {
    match error {
        Error::Database(database) => judge_code(database.code().as_deref().unwrap_or_default()),
        Error::PoolTimedOut => (PortErrorKind::Unavailable, ": all connections are in use"),
        Error::PoolClosed => (PortErrorKind::Unavailable, ": the store is closed"),
        Error::Io(_) | Error::Protocol(_) => (
            PortErrorKind::Unavailable,
            ": the server cannot be reached; check host and port, and that it runs",
        ),
        Error::Tls(_) => (PortErrorKind::Unavailable, ": the server's certificate or its TLS does not fit"),
        Error::ColumnDecode { .. } | Error::Decode(_) => {
            (PortErrorKind::Corrupt, ": a stored value cannot be read by this build")
        }
        _ => (PortErrorKind::Internal, ""),
    }
}

/// By SQLSTATE: <https://www.postgresql.org/docs/15/errcodes-appendix.html>.
fn judge_code(code: &str) -> (PortErrorKind, &'static str) {
    match code {
        "23505" => (PortErrorKind::Conflict, ": it exists already"),
        "3D000" => (PortErrorKind::NotFound, ": the database of the URL does not exist; create it"),
        "40001" | "40P01" => {
            (PortErrorKind::Unavailable, ": another transaction stood in the way; try again")
        }
        "42501" => (PortErrorKind::Unauthorized, ": the user of the URL may not do this; grant it"),
        "42P01" | "42703" | "42883" => {
            (PortErrorKind::Incompatible, ": the schema is not this build's; run `retouch migrate`")
        }
        "53100" => (PortErrorKind::Full, ": the server's disk is full; make room and try again"),
        "53200" => (PortErrorKind::Full, ": the server has no memory left"),
        "53300" => (PortErrorKind::Full, ": the server has no connections left; raise max_connections"),
        "57014" => (PortErrorKind::Timeout, ": the statement was canceled, or took too long"),
        "57P01" | "57P02" | "57P03" => (PortErrorKind::Unavailable, ": the server is starting or stopping"),
        _ if code.starts_with("28") => {
            (PortErrorKind::Unauthorized, ": the server does not accept the user or password of the URL")
        }
        _ if code.starts_with("08") => (PortErrorKind::Unavailable, ": the connection broke"),
        _ if code.starts_with("23") => (PortErrorKind::Conflict, ": a constraint does not hold"),
        _ if code.starts_with("58") => {
            (PortErrorKind::Unavailable, ": the server's disk answers with an error")
        }
        _ if code.starts_with("XX") => (PortErrorKind::Corrupt, ": the server reports damage"),
        _ => (PortErrorKind::Internal, ""),
    }
}
