//! The interfaces between retouch's services and what they run on. No adapter and no tensor is known here.

pub mod backoff;
pub mod blob;
pub mod clock;
pub mod dispatcher;
pub mod engine_source;
pub mod error;
pub mod failpoint;
pub mod fetch;
pub mod files;
pub mod ids;
pub mod jobs;
pub mod live;
pub mod moment;
pub mod post;
pub mod queue;
pub mod step_engine;
pub mod store;

use std::sync::Arc;

pub use backoff::Backoff;
pub use blob::{BlobKey, BlobStore, ByteStream};
pub use clock::{Clock, SystemClock};
pub use dispatcher::{DispatchRules, Dispatcher};
pub use error::{PortError, PortErrorKind};
pub use fetch::{Fetch, FetchError};
pub use ids::{Ids, SystemIds};
pub use live::Live;
pub use post::Post;
pub use queue::JobQueue;
pub use store::JobStore;

/// What a service runs on.
#[derive(Clone)]
pub struct Ports {
    /// The truth.
    pub store: Arc<dyn JobStore>,
    /// The broker.
    pub queue: Arc<dyn JobQueue>,
    /// The files.
    pub blobs: Arc<dyn BlobStore>,
    /// Progress, presence, events, limits.
    pub live: Arc<dyn Live>,
    /// The way to endpoints of users.
    pub post: Arc<dyn Post>,
    /// The process's time; leases run by the store's clock.
    pub clock: Arc<dyn Clock>,
    /// The process's ids and randomness.
    pub ids: Arc<dyn Ids>,
}
