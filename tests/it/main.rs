//! Services together: on the embedded backends and on a cluster, in one process and in many that are killed.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod faults;
mod scene;
mod shares;
mod together;
