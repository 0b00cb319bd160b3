//! Whole models and the step machine that denoises rows with them.

mod edit;
mod engine;
mod export;
mod guidance;
mod model;
mod prompt;
mod row;

pub use edit::{Progress, run};
pub use engine::{Engine, EngineOptions};
pub use model::{ComponentInfo, Family, LoadOptions, Model, ModelInfo};
