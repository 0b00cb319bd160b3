//! The job store on PostgreSQL, for many processes on many machines.
//!
//! Statements stand in `queries/`, one file each; a test prepares every one against the migrated schema. Set statements
//! take their rows as one JSON or array parameter.
//!
//! Every transaction is `read committed`. Jobs are locked in the order of their ids, and read by a statement of its own
//! after that: a statement that had to wait for a lock sees other tables as they were before. All writes about jobs are
//! one statement (`queries/change/write.sql`).

mod audit;
mod change;
mod claim;
mod control;
mod deliveries;
mod dispatch;
mod error;
mod fields;
mod insert;
mod keys;
mod liveness;
mod loading;
mod open;
mod reading;
mod submission;
mod upkeep;
mod webhooks;
mod work;

use retouch_ports::{PortError, PortErrorKind};
use sqlx::postgres::{PgConnectOptions, PgPool};
use sqlx::{Postgres, Transaction};

pub use crate::open::PostgresOptions;

use crate::error::failed;

/// The text of a statement in `queries/`.
macro_rules! sql {
    ($name:literal) => {
        sqlx::query(include_str!(concat!("../queries/", $name, ".sql")))
    };
}
use sql;

/// How many rows one transaction takes where work is done in parts.
const PART: u32 = 1000;

type Tx = Transaction<'static, Postgres>;
type Result<T> = std::result::Result<T, PortError>;

/// The job store in a database.
#[derive(Clone)]
pub struct PostgresStore {
    pool: PgPool,
    /// For connections outside of the pool: a liveness lock has its own.
    options: PgConnectOptions,
}

impl PostgresStore {
    /// A transaction.
    ///
    /// It begins in a task of its own: a `begin` that is dropped half way leaves its connection inside a transaction that
    /// nobody ends (sqlx 0.9.0, transact-rs/sqlx#4385).
    async fn write(&self, what: &'static str) -> Result<Tx> {
        let pool = self.pool.clone();
        let begun = tokio::spawn(async move { pool.begin().await }).await;
        let begun = begun.map_err(|error| {
            PortError::new(PortErrorKind::Internal, "beginning a transaction was interrupted")
                .with_source(error)
        })?;
        begun.map_err(failed(what))
    }
}

/// How often a transaction is tried that others stand in the way of.
const TRIES: u32 = 5;

/// Makes a call again whose transaction the server ended so that others could go on (a deadlock, a conflict): nothing of it
/// took effect. Locks are taken in one order (batches, jobs by id, leases), but for what follows from a job for those that
/// wait for it.
async fn again<T, F: Future<Output = Result<T>>>(call: impl Fn() -> F) -> Result<T> {
    for _ in 1..TRIES {
        match call().await {
            Err(error) if error::is_in_the_way(&error) => {
                tracing::debug!(%error, "a transaction is tried again");
            }
            outcome => return outcome,
        }
    }
    call().await
}

async fn commit(tx: Tx, what: &'static str) -> Result<()> {
    tx.commit().await.map_err(failed(what))
}

/// Ends a transaction that changed nothing. A dropped one would keep its locks until the pool comes to it.
async fn release(tx: Tx, what: &'static str) -> Result<()> {
    tx.rollback().await.map_err(failed(what))
}
