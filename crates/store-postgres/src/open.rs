//! Connecting, and the schema.

use std::str::FromStr;
use std::time::Duration;

use retouch_ports::{PortError, PortErrorKind};
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, Row};

use crate::error::{failed, migration_failed};
use crate::{PostgresStore, Result, sql};

/// The schema.
pub static MIGRATOR: Migrator = sqlx::migrate!("../../migrations/postgres");

/// How long a call waits for a connection.
const PATIENCE: Duration = Duration::from_secs(30);

/// How the server is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PostgresOptions {
    /// At most so many connections; a liveness lock takes one more.
    pub connections: u32,
    /// After this the server gives up a statement, and a transaction whose process stopped in the middle of it: a
    /// frozen process keeps no locks for longer.
    pub statement_timeout: Duration,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self { connections: 10, statement_timeout: Duration::from_secs(60) }
    }
}

impl PostgresStore {
    /// Connects to the database of a URL such as `postgres://user:password@host:5432/retouch`.
    ///
    /// # Errors
    /// `Invalid`: the URL. `Unauthorized`, `NotFound`, `Unavailable`: what the server or the network says.
    /// `Incompatible`: the schema is older or newer than this build's.
    pub async fn open(url: &str, wanted: PostgresOptions) -> Result<Self> {
        let millis = wanted.statement_timeout.as_millis().to_string();
        let options = options(url)?
            .options([("statement_timeout", &millis), ("idle_in_transaction_session_timeout", &millis)]);
        // A pool tries again and again, and says at last that it has no connection; one of our own says why.
        let connection = options.connect().await.map_err(failed("connecting"))?;
        connection.close().await.map_err(failed("closing a connection"))?;
        let pool = PgPoolOptions::new()
            .max_connections(wanted.connections)
            .acquire_timeout(PATIENCE)
            .connect_with(options.clone())
            .await
            .map_err(failed("connecting"))?;
        check_schema(&pool).await?;
        Ok(Self { pool, options })
    }

    /// Brings the schema up to this build's. Many may try at once: one does it.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn migrate(url: &str) -> Result<()> {
        let mut connection = options(url)?.connect().await.map_err(failed("connecting"))?;
        // Not `run`, whose future no task can be spawned with ("implementation of `Acquire` is not general enough").
        MIGRATOR.run_direct(None, &mut connection, false).await.map_err(migration_failed)?;
        connection.close().await.map_err(failed("closing a connection"))
    }

    /// Waits for running statements and closes the connections.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

/// The URL may hold a password: no error repeats it.
fn options(url: &str) -> Result<PgConnectOptions> {
    let invalid = |why: &str| {
        let text = format!(
            "the URL of the PostgreSQL database {why}; write postgres://user:password@host:port/database"
        );
        PortError::new(PortErrorKind::Invalid, text)
    };
    if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        return Err(invalid("does not begin with postgres://"));
    }
    let options =
        PgConnectOptions::from_str(url).map_err(|error| invalid("cannot be read").with_source(error))?;
    Ok(options.application_name("retouch"))
}

/// Whether the schema is this build's.
async fn check_schema(pool: &PgPool) -> Result<()> {
    let what = "reading the schema's version";
    let older = |version: i64| {
        let text =
            format!("the database lacks migration {version} of this build: run `retouch migrate` first");
        PortError::new(PortErrorKind::Incompatible, text)
    };
    let row = sql!("open/has_migrations").fetch_one(pool).await.map_err(failed(what))?;
    if !row.try_get::<bool, _>("has_migrations").map_err(failed(what))? {
        return Err(older(MIGRATOR.iter().map(|migration| migration.version).min().unwrap_or(0)));
    }
    let rows = sqlx::query("select version, checksum from _sqlx_migrations where success order by version")
        .fetch_all(pool)
        .await
        .map_err(failed(what))?;
    let applied = |row: &sqlx::postgres::PgRow| Ok((row.try_get("version")?, row.try_get("checksum")?));
    let applied: Vec<(i64, Vec<u8>)> =
        rows.iter().map(applied).collect::<std::result::Result<_, _>>().map_err(failed(what))?;
    for migration in MIGRATOR.iter() {
        match applied.iter().find(|(version, _)| *version == migration.version) {
            None => return Err(older(migration.version)),
            Some((version, checksum)) if *checksum != *migration.checksum => {
                return Err(migration_failed(MigrateError::VersionMismatch(*version)));
            }
            Some(_) => {}
        }
    }
    match applied.iter().find(|(version, _)| !MIGRATOR.version_exists(*version)) {
        Some((version, _)) => Err(migration_failed(MigrateError::VersionMissing(*version))),
        None => Ok(()),
    }
}
