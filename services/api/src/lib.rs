//! The HTTP API: files, edits, batches, and what became of them.
//!
//! | rule | place |
//! |---|---|
//! | how errors look, and which exist | [`problem`] |
//! | who may do what, and how often | `door.rs`, [`key`], `rate.rs` |
//! | ids of requests, figures about them | `observe.rs` |
//! | what is read of a request, with its refusals | `extract.rs` |
//! | routes | `routes/`, a file for each thing; `app.rs` puts them together and makes the OpenAPI document of them |
//!
//! No route waits for the broker: what is stored is dispatched afterwards, here or by the scheduler.

mod app;
mod content;
mod door;
mod extract;
mod feed;
mod gate;
pub mod key;
mod list;
pub mod names;
mod objects;
mod observe;
mod options;
pub mod problem;
mod rate;
mod routes;
mod scratch;
mod spool;
mod watch;
mod work;
mod zip;

pub use app::{Api, openapi};
pub use key::KeySecret;
pub use options::Options;

use retouch_ports::moment;
