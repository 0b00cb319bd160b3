//! The networks, config-driven: field names as in `config.json`, tensor names as in the checkpoint.

pub mod clip;
mod resnet;
pub mod spatial;
pub mod unet;
pub mod vae;
