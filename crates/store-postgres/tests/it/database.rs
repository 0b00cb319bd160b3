//! A database for each test, dropped when the test ends.

use retouch_store_postgres::PostgresStore;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Executor};
use uuid::Uuid;

const VARIABLE: &str = "RETOUCH_TEST_POSTGRES";

/// A database of a test's own.
pub struct Database {
    name: String,
}

impl Database {
    /// An empty one.
    pub async fn empty() -> Self {
        let name = format!("retouch_test_{}", Uuid::now_v7().simple());
        let mut server = server().await;
        server.execute(AssertSqlSafe(format!("create database {name}"))).await.unwrap();
        Self { name }
    }

    /// One with the schema.
    pub async fn migrated() -> Self {
        let database = Self::empty().await;
        PostgresStore::migrate(&database.url()).await.unwrap();
        database
    }

    /// Its URL.
    pub fn url(&self) -> String {
        let server = server_url();
        let (start, _) = server.rsplit_once('/').expect("a URL with the name of a database");
        format!("{start}/{}", self.name)
    }

    /// A connection beside the store.
    pub async fn connect(&self) -> PgConnection {
        self.url().parse::<PgConnectOptions>().unwrap().connect().await.unwrap()
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let statement = format!("drop database {} with (force)", self.name);
        let drop = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async { server().await.execute(AssertSqlSafe(statement)).await.map(|_| ()) })
        };
        // A runtime cannot wait within another; and a test that fails already is not to fail twice.
        if let Ok(Err(error)) = std::thread::spawn(drop).join() {
            eprintln!("dropping {} failed: {error}", self.name);
        }
    }
}

/// The URL of the test server.
pub fn server_url() -> String {
    match std::env::var(VARIABLE) {
        Ok(url) if !url.is_empty() => url,
        _ => panic!(
            "{VARIABLE} is not set: run `cargo xtask services run -- cargo test -p retouch-store-postgres`, or set it to the \
             URL of a server whose user may create databases"
        ),
    }
}

async fn server() -> PgConnection {
    server_url().parse::<PgConnectOptions>().unwrap().connect().await.unwrap()
}
