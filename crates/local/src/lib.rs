//! The embedded backends, for one machine and no other program: an in-process queue, files under a folder, live state in
//! memory. They keep the contracts of the ports that RabbitMQ, S3 and Redis keep, and the same suites prove it.

mod dir;
mod files;
mod live;
mod queue;
mod temp;

pub use files::FileBlobStore;
pub use live::LocalLive;
pub use queue::LocalQueue;
