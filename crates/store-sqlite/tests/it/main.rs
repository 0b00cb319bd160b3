//! The job store on SQLite: the conformance suite, and what is SQLite's own.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod damage;
mod opening;
mod statements;

use std::sync::Arc;

use retouch_ports::SystemClock;
use retouch_store_sqlite::SqliteStore;
use retouch_testkit::job_store::Fresh;
use tempfile::TempDir;

/// A store in a folder of its own.
pub async fn fresh() -> Fresh<TempDir> {
    let guard = tempfile::tempdir().unwrap();
    let store = Arc::new(open(&guard).await);
    Fresh { store, guard }
}

async fn open(folder: &TempDir) -> SqliteStore {
    let url = url(folder);
    SqliteStore::migrate(&url).await.unwrap();
    SqliteStore::open(&url, 4, Arc::new(SystemClock)).await.unwrap()
}

fn url(folder: &TempDir) -> String {
    format!("sqlite:{}", folder.path().join("jobs.db").display())
}

retouch_testkit::job_store_suite!(crate::fresh);
