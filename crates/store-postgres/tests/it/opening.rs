//! URLs, credentials and schemas that are not as they should be.

use std::error::Error as _;

use retouch_ports::{PortError, PortErrorKind};
use retouch_store_postgres::{PostgresOptions, PostgresStore};
use sqlx::Executor;

use crate::database::{Database, server_url};

async fn refused(url: &str) -> PortError {
    let error = PostgresStore::open(url, PostgresOptions::default()).await.err().unwrap();
    let (mut text, mut source) = (error.to_string(), error.source());
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    assert!(!text.contains("s3cret"), "{text}");
    error
}

#[tokio::test]
async fn a_url_of_something_else_is_refused_and_not_repeated() {
    for url in ["sqlite:a.db", "postgres:/x:s3cret@y", "", "postgres://u:s3cret@host:port/db"] {
        let error = refused(url).await;
        assert_eq!(error.kind(), PortErrorKind::Invalid, "{url}: {error}");
        assert!(error.to_string().contains("write postgres://user:password@host"), "{error}");
    }
}

#[tokio::test]
async fn wrong_credentials_and_unknown_databases_are_named() {
    let server = server_url();
    let (start, _) = server.rsplit_once('/').unwrap();
    let error = refused(&format!("{start}/no_such_database")).await;
    assert_eq!(error.kind(), PortErrorKind::NotFound, "{error}");
    let (_, host) = start.rsplit_once('@').unwrap();
    let error = refused(&format!("postgres://nobody:s3cret@{host}/postgres")).await;
    assert_eq!(error.kind(), PortErrorKind::Unauthorized, "{error}");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable() {
    // Bound and closed again: nobody listens there.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let error = PostgresStore::migrate(&format!("postgres://u:s3cret@127.0.0.1:{port}/x")).await.unwrap_err();
    assert_eq!(error.kind(), PortErrorKind::Unavailable, "{error}");
    assert!(error.source().is_some());
}

#[tokio::test]
async fn an_older_and_a_newer_schema_say_what_to_do() {
    let database = Database::empty().await;
    let error = refused(&database.url()).await;
    assert_eq!(error.kind(), PortErrorKind::Incompatible, "{error}");
    assert!(error.to_string().contains("retouch migrate"), "{error}");
    PostgresStore::migrate(&database.url()).await.unwrap();
    let newer = "insert into _sqlx_migrations (version, description, success, checksum, execution_time) \
                 values (9999, 'from the future', true, '', 0)";
    database.connect().await.execute(newer).await.unwrap();
    let error = refused(&database.url()).await;
    assert_eq!(error.kind(), PortErrorKind::Incompatible, "{error}");
    assert!(error.to_string().contains("use a newer retouch"), "{error}");
    let error = PostgresStore::migrate(&database.url()).await.unwrap_err();
    assert_eq!(error.kind(), PortErrorKind::Incompatible, "{error}");
}

#[tokio::test]
async fn many_may_migrate_at_once() {
    let database = Database::empty().await;
    let migrations: Vec<_> = (0..4)
        .map(|_| {
            let url = database.url();
            tokio::spawn(async move { PostgresStore::migrate(&url).await })
        })
        .collect();
    for migration in migrations {
        migration.await.unwrap().unwrap();
    }
    PostgresStore::open(&database.url(), PostgresOptions::default()).await.unwrap();
}
