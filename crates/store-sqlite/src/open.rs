//! Opening the file, and its schema.

use std::collections::HashSet;
use std::str::FromStr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use retouch_ports::{Clock, PortError, PortErrorKind};
use sqlx::migrate::Migrator;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions, Connection};

use crate::error::{failed, migration_failed};
use crate::{Result, SqliteStore};

/// The schema.
pub static MIGRATOR: Migrator = sqlx::migrate!("../../migrations/sqlite");

/// How long a statement waits for another process's lock.
const BUSY: Duration = Duration::from_secs(10);

impl SqliteStore {
    /// Opens the store of a URL such as `sqlite:retouch.db` or `sqlite:/var/lib/retouch/jobs.db`, with one connection for
    /// writing and so many for reading.
    ///
    /// # Errors
    /// `Invalid`: the URL. `Incompatible`: the schema is older or newer than this build's. And what opening a file gives.
    pub async fn open(url: &str, readers: u32, clock: Arc<dyn Clock>) -> Result<Self> {
        let options = options(url)?;
        let pool =
            |size| SqlitePoolOptions::new().max_connections(size).acquire_timeout(Duration::from_secs(30));
        let writer = pool(1).connect_with(options.clone()).await.map_err(failed("opening the database"))?;
        check_schema(&writer).await?;
        let readers = pool(readers).connect_with(options).await.map_err(failed("opening the database"))?;
        Ok(Self { readers, writer, clock, alive: Arc::new(Mutex::new(HashSet::new())) })
    }

    /// Makes the file where there is none, with its folder, and brings its schema up to this build's.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn migrate(url: &str) -> Result<()> {
        let options = options(url)?.create_if_missing(true);
        if let Some(folder) = options.get_filename().parent().filter(|folder| !folder.as_os_str().is_empty())
        {
            tokio::fs::create_dir_all(folder)
                .await
                .map_err(|error| failed("making its folder")(error.into()))?;
        }
        let mut connection = options.connect().await.map_err(failed("opening the database"))?;
        // Not `run`, whose future no task can be spawned with ("implementation of `Acquire` is not general enough").
        MIGRATOR.run_direct(None, &mut connection, false).await.map_err(migration_failed)?;
        connection.close().await.map_err(failed("closing the database"))
    }

    /// Limits the file to so many pages of 4096 bytes: a quota, beyond which writes fail as on a full disk.
    ///
    /// # Errors
    /// As any statement.
    pub async fn limit_pages(&self, pages: u32) -> Result<()> {
        let statement = sqlx::AssertSqlSafe(format!("pragma max_page_count = {pages}"));
        sqlx::query(statement).execute(&self.writer).await.map_err(failed("limiting the file"))?;
        Ok(())
    }

    /// Waits for running statements and closes the file.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

fn options(url: &str) -> Result<SqliteConnectOptions> {
    let invalid = |why: &str| {
        let text =
            format!("{url:?} is no URL of a SQLite database: {why}; write sqlite: and the path of a file");
        PortError::new(PortErrorKind::Invalid, text)
    };
    let path = url.strip_prefix("sqlite:").ok_or_else(|| invalid("it does not begin with sqlite:"))?;
    if path.is_empty() || path.contains(":memory:") || path.contains("mode=memory") {
        return Err(invalid("jobs are kept in a file, so that they survive the process"));
    }
    let options = SqliteConnectOptions::from_str(url)
        .map_err(|error| invalid("it cannot be read").with_source(error))?;
    Ok(options
        .create_if_missing(false)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY)
        .statement_cache_capacity(256))
}

/// Whether the schema is this build's.
async fn check_schema(pool: &SqlitePool) -> Result<()> {
    let older = |version: i64| {
        let text =
            format!("the database lacks migration {version} of this build: run `retouch migrate` first");
        PortError::new(PortErrorKind::Incompatible, text)
    };
    let first = MIGRATOR.iter().map(|migration| migration.version).min().unwrap_or(0);
    let known: Option<(i64,)> = sqlx::query_as("select 1 from sqlite_master where name = '_sqlx_migrations'")
        .fetch_optional(pool)
        .await
        .map_err(failed("reading the schema's version"))?;
    if known.is_none() {
        return Err(older(first));
    }
    let applied: Vec<(i64, Vec<u8>)> =
        sqlx::query_as("select version, checksum from _sqlx_migrations where success order by version")
            .fetch_all(pool)
            .await
            .map_err(failed("reading the schema's version"))?;
    for migration in MIGRATOR.iter() {
        match applied.iter().find(|(version, _)| *version == migration.version) {
            None => return Err(older(migration.version)),
            Some((version, checksum)) if *checksum != *migration.checksum => {
                return Err(migration_failed(sqlx::migrate::MigrateError::VersionMismatch(*version)));
            }
            Some(_) => {}
        }
    }
    match applied.iter().find(|(version, _)| !MIGRATOR.version_exists(*version)) {
        Some((version, _)) => Err(migration_failed(sqlx::migrate::MigrateError::VersionMissing(*version))),
        None => Ok(()),
    }
}
