//! Faults at random, and the account of what they did.

mod faults;
mod verdict;

pub use faults::{Faults, Switches};
pub use verdict::Verdict;

/// What each step of a run may fail with.
pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;
