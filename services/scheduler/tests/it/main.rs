//! Reconcilers on the embedded backends.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod endpoint;
mod webhooks;
