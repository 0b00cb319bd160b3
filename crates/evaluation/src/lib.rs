//! How well a model edits: suites of edits with ground truth.
//!
//! [`Suite::spatial`] is the frozen suite of spatial edits: held-out scenes, instructions in words that training has and
//! in words that it has not, and the true scene after each edit.
//!
//! Pure functions of a seed: no model, no tensor, no files.

mod error;
mod suite;

pub use self::error::SuiteError;
pub use self::suite::{Case, Phrasing, Suite, Tolerances};
