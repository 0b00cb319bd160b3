//! The networks, config-driven: field names as in `config.json`, tensor names as in the checkpoint.

mod resnet;
pub mod unet;
pub mod vae;
