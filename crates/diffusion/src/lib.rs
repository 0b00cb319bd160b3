//! The edit engine of retouch: diffusers-layout models, samplers and the step machine on LibTorch.

mod config;
mod error;
pub mod models;
mod nn;
pub mod tokenizer;
mod weights;

pub use error::{Error, Result};
pub use weights::{Checkpoint, LoadReport};
