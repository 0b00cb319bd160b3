//! The autoencoder's loss: how its image differs, and how far its latents are from a normal distribution.

use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use crate::models::vae::Vae;
use crate::training::run::Losses;

/// Weights of the parts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AutoencoderLoss {
    /// Of the mean absolute difference between the images' horizontal and vertical slopes: keeps edges sharp.
    pub edges: f64,
    /// Of the Kullback-Leibler divergence from the standard normal distribution, per value of the image.
    pub divergence: f64,
}

impl Default for AutoencoderLoss {
    fn default() -> Self {
        Self { edges: 0.5, divergence: 1e-6 }
    }
}

/// The loss of `images [b, 3, h, w]` in −1..1, with latents drawn by `noise [b, C, h/f, w/f]`.
pub fn autoencoder(vae: &Vae, images: &Tensor, noise: &Tensor, weights: &AutoencoderLoss) -> Losses {
    let images = images.to_device(vae.device());
    let posterior = vae.encode(&images);
    let decoded = vae.decode(&posterior.sample(noise)).to_kind(Kind::Float);
    let difference = (&decoded - &images).abs().mean(Kind::Float);
    let slope = |x: &Tensor, dimension| x.diff(1, dimension, None::<&Tensor>, None::<&Tensor>);
    let edges = [2, 3].map(|d| (slope(&decoded, d) - slope(&images, d)).abs().mean(Kind::Float));
    let edges = &edges[0] + &edges[1];
    let (mean, log_variance) =
        (posterior.mean.to_kind(Kind::Float), posterior.log_variance.to_kind(Kind::Float));
    let divergence = (mean.square() + log_variance.exp() - 1.0 - log_variance).sum(Kind::Float)
        * (0.5 / images.numel() as f64);
    let total = &difference + &edges * weights.edges + &divergence * weights.divergence;
    Losses { total, parts: vec![("difference", difference), ("edges", edges), ("divergence", divergence)] }
}
