//! Whole models and the step machine that denoises rows with them.

mod edit;
mod engine;
mod export;
mod fuzzing;
mod guidance;
mod index;
mod intent;
mod memory;
mod model;
mod prompt;
mod round_trip;
mod row;
mod spatial;

pub use edit::{Progress, run};
pub use engine::{Engine, EngineOptions};
pub use fuzzing::{exported_row, exported_row_seeds};
pub use model::{ComponentInfo, Family, LoadOptions, Model, ModelInfo};
