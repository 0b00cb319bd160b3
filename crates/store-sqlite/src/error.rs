//! From errors of SQLite to errors of the port.

use retouch_ports::{PortError, PortErrorKind};
use sqlx::Error;
use sqlx::migrate::MigrateError;

/// Names what failed. For `map_err`.
pub(crate) fn failed(what: &'static str) -> impl Fn(Error) -> PortError {
    move |error| {
        let (kind, advice) = judge(&error);
        PortError::new(kind, format!("{what} in SQLite failed{advice}")).with_source(error)
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
        other => PortError::new(PortErrorKind::Internal, "migrating the schema in SQLite failed")
            .with_source(other),
    }
}

fn judge(error: &Error) -> (PortErrorKind, &'static str) {
    match error {
        Error::Database(database) => {
            // The primary result code is the low byte: https://www.sqlite.org/rescode.html
            let code = database.code().and_then(|code| code.parse::<i32>().ok()).unwrap_or(0) & 0xff;
            match code {
                3 | 8 => {
                    (PortErrorKind::Unauthorized, ": the file may not be written; check its owner and mode")
                }
                5 | 6 => (PortErrorKind::Unavailable, ": another process holds the file's lock"),
                10 => (PortErrorKind::Unavailable, ": the disk answers with an error"),
                11 | 26 => (PortErrorKind::Corrupt, ": the file is damaged, or is no SQLite database"),
                13 => (PortErrorKind::Full, ": the disk is full; make room and try again"),
                14 => (
                    PortErrorKind::Unavailable,
                    ": the file cannot be opened; `retouch migrate` makes it where there is none, else check its owner and mode",
                ),
                19 => (PortErrorKind::Conflict, ": a constraint does not hold"),
                _ => (PortErrorKind::Internal, ""),
            }
        }
        Error::PoolTimedOut => (PortErrorKind::Unavailable, ": all connections are in use"),
        Error::PoolClosed => (PortErrorKind::Unavailable, ": the store is closed"),
        Error::Io(_) | Error::WorkerCrashed => (PortErrorKind::Unavailable, ""),
        Error::ColumnDecode { .. } | Error::Decode(_) => {
            (PortErrorKind::Corrupt, ": a stored value cannot be read by this build")
        }
        _ => (PortErrorKind::Internal, ""),
    }
}
