//! The job store on PostgreSQL: the conformance suite on a real server, and what is PostgreSQL's own.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod damage;
mod database;
mod opening;
mod statements;

use std::sync::Arc;

use retouch_store_postgres::{PostgresOptions, PostgresStore};
use retouch_testkit::job_store::Fresh;

use crate::database::Database;

/// A store in a database of its own.
pub async fn fresh() -> Fresh<Database> {
    let guard = Database::migrated().await;
    let store = Arc::new(PostgresStore::open(&guard.url(), PostgresOptions::default()).await.unwrap());
    Fresh { store, guard }
}

retouch_testkit::job_store_suite!(crate::fresh);
