//! What each kind of network minimises.

mod autoencoder;
mod contrastive;
mod denoiser;

pub use autoencoder::{AutoencoderLoss, autoencoder};
pub use contrastive::contrastive;
pub use denoiser::{Denoised, DenoiserLoss, Dropout, Dropped, Target, denoiser};
