//! The job store on SQLite, for one machine: one writer, readers beside it (WAL), every commit on the disk when it
//! returns.
//!
//! Statements stand in `queries/`, one file each; a test prepares every one against the migrated schema. Set statements
//! take their rows as one JSON parameter.

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

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use retouch_domain::{Timestamp, WorkerBootId};
use retouch_ports::{Clock, PortError};
use sqlx::sqlite::SqlitePool;
use sqlx::{Sqlite, Transaction};

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

type Tx = Transaction<'static, Sqlite>;
type Result<T> = std::result::Result<T, PortError>;

/// The job store in a file.
#[derive(Clone)]
pub struct SqliteStore {
    readers: SqlitePool,
    writer: SqlitePool,
    clock: Arc<dyn Clock>,
    /// The boot ids that hold their liveness lock: all of them are this process's.
    alive: Arc<Mutex<HashSet<WorkerBootId>>>,
}

impl SqliteStore {
    /// A transaction of the one writer.
    async fn write(&self, what: &'static str) -> Result<Tx> {
        self.writer.begin_with("begin immediate").await.map_err(failed(what))
    }

    /// The database's clock is the machine's.
    fn micros(&self) -> i64 {
        self.clock.now().micros()
    }

    fn micros_ago(&self, age: Duration) -> i64 {
        (self.clock.now() - age).micros()
    }

    fn micros_ahead(&self, wait: Duration) -> i64 {
        (self.clock.now() + wait).micros()
    }

    fn time(&self) -> Timestamp {
        self.clock.now()
    }
}

async fn commit(tx: Tx, what: &'static str) -> Result<()> {
    tx.commit().await.map_err(failed(what))
}
