//! The denoiser's loss, for captions and for instructions.
//!
//! Source: InstructPix2Pix (Brooks et al. 2023, arXiv 2211.09800; `ldm/models/diffusion/ddpm_edit.py` of
//! timothybrooks/instruct-pix2pix at 0dffd1e) for conditioning and its dropout; min-SNR weighting: Hang et al. 2023,
//! arXiv 2303.09556.

use rand::Rng;
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use crate::error::Result;
use crate::models::spatial::{Spatial, SpatialBatch};
use crate::models::unet::{TextKv, UNet};
use crate::samplers::NoiseTable;
use crate::training::run::Losses;

/// What the network is trained to predict; the sampler's configuration has to say the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Target {
    /// The noise.
    #[serde(rename = "epsilon")]
    Epsilon,
    /// √ᾱ·noise − √(1−ᾱ)·image.
    #[serde(rename = "v_prediction")]
    Velocity,
}

/// Settings of the loss.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DenoiserLoss {
    /// Cap γ of the signal-to-noise ratio that a step's loss is weighted with; 0 leaves all weights at 1.
    pub snr_cap: f64,
    /// How much more a latent pixel counts that the edit changes: its weight is 1 plus this.
    pub changed: f64,
}

impl Default for DenoiserLoss {
    fn default() -> Self {
        Self { snr_cap: 5.0, changed: 0.0 }
    }
}

/// How often a condition is left out. One draw decides for both, as in the original: text alone, both, and image alone
/// are left out equally often.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Dropout(pub f64);

/// The conditions that a row goes without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dropped {
    /// The text is the empty one.
    pub text: bool,
    /// The image latents are zero.
    pub image: bool,
}

impl Dropout {
    /// Decides for one row.
    pub fn draw(self, rng: &mut impl Rng) -> Dropped {
        let Self(share) = self;
        let r: f64 = rng.random();
        Dropped { text: r < 2.0 * share, image: r >= share && r < 3.0 * share }
    }
}

/// A batch for the denoiser.
pub struct Denoised<'a> {
    /// `[b, C, h, w]`: the latents to learn, scaled.
    pub latents: &'a Tensor,
    /// `[b, C, h, w]`: the input image's latents, unscaled, zero where dropped; when editing.
    pub image: Option<&'a Tensor>,
    /// Scaled latents of the input image, never dropped: where `latents` differ from them, the edit changes the image.
    pub unchanged: Option<&'a Tensor>,
    /// `b` rows of keys and values.
    pub text: &'a TextKv,
    /// The spatial layer and `b` rows for it, if it takes part.
    pub spatial: Option<(&'a Spatial, &'a SpatialBatch)>,
    /// `[b]` int64: training timesteps.
    pub timesteps: &'a Tensor,
    /// `[b, C, h, w]`.
    pub noise: &'a Tensor,
}

/// The loss of one batch.
pub fn denoiser(
    unet: &UNet,
    table: &NoiseTable,
    target: Target,
    batch: &Denoised<'_>,
    settings: &DenoiserLoss,
) -> Result<Losses> {
    let (x0, noise, t) = (batch.latents, batch.noise, batch.timesteps);
    let noised = table.add_noise(x0, noise, t)?;
    let wanted = match target {
        Target::Epsilon => noise.shallow_clone(),
        Target::Velocity => table.velocity(x0, noise, t)?,
    };
    let sample = match batch.image {
        None => noised,
        Some(image) => Tensor::cat(&[noised, image.shallow_clone()], 1),
    };
    let t_float = t.to_kind(Kind::Float);
    let predicted =
        unet.forward_spatial(&sample, &t_float, batch.text, None, batch.spatial).to_kind(Kind::Float);
    let mut errors = (predicted - wanted).square();
    let mse = errors.mean(Kind::Float).detach();
    if let Some(unchanged) = batch.unchanged.filter(|_| settings.changed > 0.0) {
        errors *= changes(x0, unchanged) * settings.changed + 1.0;
    }
    let per_row = errors.mean_dim([1i64, 2, 3].as_slice(), false, Kind::Float);
    let total = (per_row * weights(table, target, t, settings.snr_cap)?).mean(Kind::Float);
    Ok(Losses { total, parts: vec![("mse", mse)] })
}

/// `[b, 1, h, w]`: 1 where an edit changes the latents by more than 0.3 of their spread, which is about 1, else 0.
fn changes(latents: &Tensor, unchanged: &Tensor) -> Tensor {
    (latents - unchanged).abs().amax([1i64].as_slice(), true).gt(0.3).to_kind(Kind::Float)
}

/// `[b]`: min(SNR, γ)/SNR for ε, min(SNR, γ)/(SNR + 1) for v.
fn weights(table: &NoiseTable, target: Target, t: &Tensor, cap: f64) -> Result<Tensor> {
    let snr = table.signal_to_noise(t)?;
    if cap <= 0.0 {
        return Ok(snr.ones_like());
    }
    let capped = snr.clamp_max(cap);
    Ok(match target {
        Target::Epsilon => capped / snr.clamp_min(1e-8),
        Target::Velocity => capped / (snr + 1.0),
    })
}
