//! Guarded download of images at URLs that users give, and messages to such URLs, against server-side request forgery.
//!
//! ```text
//! URL ─> Target: scheme, credentials, port, literal address ─> Resolve ─> every answer is public? ─> connect to just
//!        these ─> TLS ─> GET ─> redirect? from the start, at most `redirects` times
//!                            └> body: at most `max_bytes`, and the signature of an image in its first bytes
//! ```
//!
//! A message goes the same way, with a POST instead of the GET; a redirect is then an answer like any other, and no body is
//! read.
//!
//! A name is resolved once for a connection and the connection goes to what was checked, so that a second answer of the
//! same name (DNS rebinding) is never asked for. There are no cookies, no credentials, no proxies from the environment, no
//! kept connections and no decompression, as nothing here has them.

mod address;
mod client;
mod connect;
mod policy;
mod post;
mod resolve;
mod target;

pub use address::is_public;
pub use client::Client;
pub use connect::Roots;
pub use policy::Policy;
pub use resolve::{Resolve, SystemResolver};
