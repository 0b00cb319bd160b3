//! URLs, schemas and disks that are not as they should be.

use std::error::Error as _;
use std::sync::Arc;

use retouch_domain::Band;
use retouch_ports::store::Submission;
use retouch_ports::{PortError, PortErrorKind, SystemClock};
use retouch_store_sqlite::SqliteStore;
use retouch_testkit::job_store::desk::Desk;
use sqlx::{Connection, Executor, SqliteConnection};

async fn refused(url: &str) -> PortError {
    SqliteStore::open(url, 1, Arc::new(SystemClock)).await.err().unwrap()
}

#[tokio::test]
async fn a_url_that_names_no_file_is_refused() {
    for url in ["postgres://x/y", "sqlite:", "sqlite::memory:", "sqlite:a.db?mode=memory", "jobs.db"] {
        let error = refused(url).await;
        assert_eq!(error.kind(), PortErrorKind::Invalid, "{url}: {error}");
        assert!(error.to_string().contains("write sqlite: and the path of a file"), "{error}");
    }
}

#[tokio::test]
async fn a_file_that_is_not_there_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let error = refused(&format!("sqlite:{}/none/jobs.db", folder.path().display())).await;
    assert_eq!(error.kind(), PortErrorKind::Unavailable, "{error}");
    assert!(error.source().is_some());
}

#[tokio::test]
async fn a_file_that_is_no_database_is_corrupt() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("jobs.db"), "not a database ".repeat(1000)).unwrap();
    let error = refused(&crate::url(&folder)).await;
    assert_eq!(error.kind(), PortErrorKind::Corrupt, "{error}");
}

#[tokio::test]
async fn an_older_and_a_newer_schema_say_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let url = crate::url(&folder);
    SqliteConnection::connect(&format!("{url}?mode=rwc")).await.unwrap().close().await.unwrap();
    let error = refused(&url).await;
    assert_eq!(error.kind(), PortErrorKind::Incompatible, "{error}");
    assert!(error.to_string().contains("retouch migrate"), "{error}");
    crate::open(&folder).await.close().await;
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    let newer = "insert into _sqlx_migrations (version, description, success, checksum, execution_time) \
                 values (9999, 'from the future', true, x'00', 0)";
    connection.execute(newer).await.unwrap();
    let error = refused(&url).await;
    assert_eq!(error.kind(), PortErrorKind::Incompatible, "{error}");
    assert!(error.to_string().contains("use a newer retouch"), "{error}");
    let error = SqliteStore::migrate(&url).await.unwrap_err();
    assert_eq!(error.kind(), PortErrorKind::Incompatible, "{error}");
}

#[tokio::test]
async fn a_full_disk_is_named_and_leaves_nothing_half_done() {
    let folder = tempfile::tempdir().unwrap();
    let store = crate::open(&folder).await;
    let desk = Desk::new(Arc::new(store.clone()));
    desk.submit(1).await;
    // SQLite answers with SQLITE_FULL when the file may not grow.
    store.limit_pages(80).await.unwrap();
    let batch = desk.new_batch(Band::Bulk);
    let error = store.submit(&batch, &desk.new_jobs(2000), None).await.unwrap_err();
    assert_eq!(error.kind(), PortErrorKind::Full, "{error}");
    assert!(error.to_string().contains("make room"), "{error}");
    store.limit_pages(1_000_000).await.unwrap();
    assert_eq!(desk.assert_sound().await, 1);
    desk.submit(1).await;
}

#[tokio::test]
async fn everything_is_there_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let store = crate::open(&folder).await;
    let desk = Desk::new(Arc::new(store.clone()));
    let (_, jobs) = desk.submit(3).await;
    store.close().await;
    let desk = Desk { store: Arc::new(crate::open(&folder).await), ..desk };
    assert_eq!(desk.assert_sound().await, 3);
    assert_eq!(desk.dispatch().await.iter().map(|ticket| ticket.job).collect::<Vec<_>>(), jobs);
}
