//! What the tests of several packages share: a dev-dependency, never a dependency.
//!
//! Everything here panics where a test's surroundings are not as they should be.

pub mod blob;
pub mod case;
pub mod clock;
pub mod ids;
pub mod job_store;
pub mod live;
pub mod models;
pub mod queue;
pub mod services;
