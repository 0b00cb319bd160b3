//! Liveness where the store is embedded: only this process's own workers live.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use retouch_domain::WorkerBootId;
use retouch_ports::store::adapter::conflict;
use retouch_ports::store::{Liveness, Presence};

use crate::{Result, SqliteStore};

type Alive = Arc<Mutex<HashSet<WorkerBootId>>>;

struct Held {
    boot: WorkerBootId,
    alive: Alive,
}

#[async_trait]
impl Presence for Held {
    async fn check(&mut self) -> Result<()> {
        Ok(())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        lock(&self.alive).remove(&self.boot);
    }
}

#[async_trait]
impl Liveness for SqliteStore {
    async fn hold(&self, boot: WorkerBootId) -> Result<Box<dyn Presence>> {
        if !lock(&self.alive).insert(boot) {
            return Err(conflict(format!("a worker with the boot id {boot} lives already")));
        }
        Ok(Box::new(Held { boot, alive: self.alive.clone() }))
    }

    async fn is_alive(&self, boot: WorkerBootId) -> Result<bool> {
        Ok(lock(&self.alive).contains(&boot))
    }
}

/// A set of ids is sound whatever a panicking holder did.
fn lock(alive: &Alive) -> MutexGuard<'_, HashSet<WorkerBootId>> {
    alive.lock().unwrap_or_else(PoisonError::into_inner)
}
