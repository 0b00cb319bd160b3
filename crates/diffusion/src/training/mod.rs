//! Training on LibTorch's autograd: the same networks, their weights as float32 leaves.
//!
//! [`Training`] follows a [`Recipe`] through its stages in a work folder. Every stage goes on from its newest state, and
//! gives the same weights whether or not it was interrupted (on a CPU, with the same number of threads).

mod adamw;
mod error;
mod examples;
mod flat;
mod latents;
pub mod objective;
mod parameters;
mod recipe;
mod run;
mod stages;
mod state;
#[cfg(test)]
mod tests;

pub use adamw::{AdamW, Optimization, Stepped};
pub use error::{Result, TrainingError};
pub use examples::{Example, Examples, Picture};
pub use flat::Flat;
pub(crate) use parameters::{Begin, Parameters};
pub use recipe::{
    ClipRecipe, DenoiserRecipe, LatentsRecipe, Recipe, SpatialRecipe, TokenizerRecipe, VaeRecipe,
};
pub use run::{Draws, Losses, Report, Run, Stage};
pub use stages::{Outcome, StageName, Stop, Training, TrainingOptions, Watch};
