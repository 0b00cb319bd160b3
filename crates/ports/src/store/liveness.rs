//! Whether a worker lives: a lock that its death frees, whatever else fails.

use async_trait::async_trait;
use retouch_domain::WorkerBootId;

use super::Result;

/// A held liveness lock. Dropping it frees the lock, and so does the death of the process.
#[async_trait]
pub trait Presence: Send + Sync {
    /// Makes sure that the lock is still held; the caller stops working if it is not.
    ///
    /// # Errors
    /// `Unavailable` if it was lost, with the connection that held it.
    async fn check(&mut self) -> Result<()>;
}

/// For workers: a lock on the boot id, on a connection of its own.
#[async_trait]
pub trait Liveness: Send + Sync {
    /// Takes the lock of this boot id.
    ///
    /// # Errors
    /// `Conflict` if somebody holds it.
    async fn hold(&self, boot: WorkerBootId) -> Result<Box<dyn Presence>>;

    /// Whether somebody holds the lock of this boot id. On an embedded store only this process's own boot ids live.
    /// Whoever takes over on this ground looks twice, a little apart.
    async fn is_alive(&self, boot: WorkerBootId) -> Result<bool>;
}
