//! How well a model edits: suites of edits with ground truth.
//!
//! [`Suite::spatial`] is the frozen suite of spatial edits: held-out scenes, instructions in words that training has and
//! in words that it has not, and the true scene after each edit.
//!
//! [`Detector`] says from the pixels of a result whether the edit was carried out; [`Audit`] measures its own error on
//! results whose verdict is known ([`Plant`]).
//!
//! - [`Question`] is all that a model learns of a case, [`Editor`] what answers, [`Row`] in which manner;
//! - [`Scores`] tells what came of it.
//!
//! Pure functions of a seed: no model, no tensor, no files.

mod audit;
mod detector;
mod error;
mod frechet;
mod question;
mod report;
mod score;
mod suite;

pub use self::audit::{Audit, Plant};
pub use self::detector::{Check, Detector, Verdict};
pub use self::error::SuiteError;
pub use self::frechet::{FEATURES_ARE, Statistics};
pub use self::question::{Editor, Manner, Question, Row};
pub use self::report::{Scores, table};
pub use self::score::Tally;
pub use self::suite::{Case, Phrasing, Suite, Tolerances};
