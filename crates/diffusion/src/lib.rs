//! The edit engine of retouch: diffusers-layout models, samplers and the step machine on LibTorch.
//!
//! [`Model::load`] reads a model folder; [`Engine`] is the [`StepEngine`](retouch_ports::step_engine::StepEngine) that
//! denoises rows with it; [`run`] makes one image.

mod checkpoint;
mod config;
mod device;
mod error;
mod files;
mod floats;
#[doc(hidden)]
pub mod fuzzing;
pub mod models;
mod nn;
mod noise;
mod pipeline;
pub mod samplers;
mod shim;
mod source;
pub mod tokenizer;
pub mod training;
mod weights;

pub use tch::{Device, Kind};

pub use checkpoint::Checkpoint;
pub use device::{parse_device, set_threads};
pub use error::{Error, Result};
pub use noise::SeededNoise;
pub use pipeline::{
    ComponentInfo, Engine, EngineOptions, Family, LoadOptions, Model, ModelInfo, Progress, run,
};
pub use source::ModelFolder;
pub use weights::LoadReport;
