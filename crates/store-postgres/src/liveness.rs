//! Liveness locks: a session-level advisory lock on the boot id, on a connection of its own.

use async_trait::async_trait;
use retouch_domain::WorkerBootId;
use retouch_ports::store::adapter::conflict;
use retouch_ports::store::{Liveness, Presence};
use sqlx::postgres::PgConnection;
use sqlx::{ConnectOptions, Connection};

use crate::error::failed;
use crate::fields::Fields;
use crate::{PostgresStore, Result, sql};

/// Dropping it closes the connection, and the server frees the lock.
struct Held(PgConnection);

#[async_trait]
impl Presence for Held {
    async fn check(&mut self) -> Result<()> {
        self.0.ping().await.map_err(failed("keeping the liveness lock"))
    }
}

#[async_trait]
impl Liveness for PostgresStore {
    async fn hold(&self, boot: WorkerBootId) -> Result<Box<dyn Presence>> {
        let what = "taking the liveness lock";
        let mut connection = self.options.connect().await.map_err(failed(what))?;
        let row = sql!("liveness/hold")
            .bind(number(boot))
            .fetch_one(&mut connection)
            .await
            .map_err(failed(what))?;
        if !Fields(&row).flag("held").map_err(failed(what))? {
            return Err(conflict(format!("a worker with the boot id {boot} lives already")));
        }
        Ok(Box::new(Held(connection)))
    }

    async fn is_alive(&self, boot: WorkerBootId) -> Result<bool> {
        let what = "looking for a liveness lock";
        let number = number(boot);
        let row = sql!("liveness/is_alive")
            .bind((number >> 32) & 0xffff_ffff)
            .bind(number & 0xffff_ffff)
            .fetch_one(&self.pool)
            .await
            .map_err(failed(what))?;
        Fields(&row).flag("alive").map_err(failed(what))
    }
}

/// The lock's number: both halves of the id, so that its time and its randomness count.
fn number(boot: WorkerBootId) -> i64 {
    let (high, low) = boot.uuid().as_u64_pair();
    i64::from_ne_bytes((high ^ low).to_ne_bytes())
}
