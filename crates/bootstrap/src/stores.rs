//! The job store that `[store]` names, and its schema.

use std::sync::Arc;

use retouch_ports::JobStore;

use crate::backends::{BackendError, Place, Process};
use crate::settings::StoreSettings;

const KNOWN: &str = "\"sqlite:PATH\" or \"postgres://user:password@host:5432/database\"";

/// The job store of `[store]`. Its schema must be this build's.
pub async fn store(
    settings: &StoreSettings,
    process: &Process<'_>,
) -> Result<Arc<dyn JobStore>, BackendError> {
    let place = place(settings);
    match settings.url.scheme().as_str() {
        "sqlite" => sqlite(settings, process, &place).await,
        "postgres" | "postgresql" => postgres(settings, &place).await,
        _ => Err(place.unknown(KNOWN)),
    }
}

/// Makes the tables of `[store]`, or brings them up to this build's. Many may try at once: one does it.
pub async fn migrate(settings: &StoreSettings) -> Result<(), BackendError> {
    let place = place(settings);
    match settings.url.scheme().as_str() {
        "sqlite" => migrate_sqlite(settings, &place).await,
        "postgres" | "postgresql" => migrate_postgres(settings, &place).await,
        _ => Err(place.unknown(KNOWN)),
    }
}

fn place(settings: &StoreSettings) -> Place<'_> {
    Place { section: "store", url: &settings.url }
}

#[cfg(feature = "sqlite")]
async fn sqlite(
    settings: &StoreSettings,
    process: &Process<'_>,
    place: &Place<'_>,
) -> Result<Arc<dyn JobStore>, BackendError> {
    let (url, readers) = (settings.url.reveal(), settings.connections.get());
    let store = retouch_store_sqlite::SqliteStore::open(url, readers, process.clock.clone()).await;
    Ok(Arc::new(store.map_err(|error| place.failed(error))?))
}

#[cfg(feature = "sqlite")]
async fn migrate_sqlite(settings: &StoreSettings, place: &Place<'_>) -> Result<(), BackendError> {
    let migrated = retouch_store_sqlite::SqliteStore::migrate(settings.url.reveal()).await;
    migrated.map_err(|error| place.failed(error))
}

#[cfg(not(feature = "sqlite"))]
async fn sqlite(
    _: &StoreSettings,
    _: &Process<'_>,
    place: &Place<'_>,
) -> Result<Arc<dyn JobStore>, BackendError> {
    Err(place.compiled_out("sqlite"))
}

#[cfg(not(feature = "sqlite"))]
async fn migrate_sqlite(_: &StoreSettings, place: &Place<'_>) -> Result<(), BackendError> {
    Err(place.compiled_out("sqlite"))
}

#[cfg(feature = "postgres")]
async fn postgres(settings: &StoreSettings, place: &Place<'_>) -> Result<Arc<dyn JobStore>, BackendError> {
    let options = retouch_store_postgres::PostgresOptions {
        connections: settings.connections.get(),
        statement_timeout: std::time::Duration::from_secs(settings.statement_timeout_seconds.get().into()),
    };
    let store = retouch_store_postgres::PostgresStore::open(settings.url.reveal(), options).await;
    Ok(Arc::new(store.map_err(|error| place.failed(error))?))
}

#[cfg(feature = "postgres")]
async fn migrate_postgres(settings: &StoreSettings, place: &Place<'_>) -> Result<(), BackendError> {
    let migrated = retouch_store_postgres::PostgresStore::migrate(settings.url.reveal()).await;
    migrated.map_err(|error| place.failed(error))
}

#[cfg(not(feature = "postgres"))]
async fn postgres(_: &StoreSettings, place: &Place<'_>) -> Result<Arc<dyn JobStore>, BackendError> {
    Err(place.compiled_out("postgres"))
}

#[cfg(not(feature = "postgres"))]
async fn migrate_postgres(_: &StoreSettings, place: &Place<'_>) -> Result<(), BackendError> {
    Err(place.compiled_out("postgres"))
}
