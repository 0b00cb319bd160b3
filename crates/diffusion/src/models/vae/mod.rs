//! `AutoencoderKL`: images to latents and back.
//!
//! Source: diffusers v0.42.1 `models/autoencoders/autoencoder_kl.py`, `vae.py`.

mod blocks;
mod config;
mod tiling;

use std::path::Path;
use std::sync::Arc;

use tch::{Device, Kind, Tensor};

pub use config::VaeConfig;

use crate::checkpoint::Checkpoint;
use crate::error::Result;
use crate::nn::{Linear, channels_last, dims4, from_tokens, to_tokens};
use crate::training::Parameters;
use crate::weights::{self, LoadReport, Scope};
use blocks::{Decoder, Encoder};

/// The autoencoder.
pub struct Vae {
    config: VaeConfig,
    encoder: Encoder,
    quant_conv: Option<Linear>,
    post_quant_conv: Option<Linear>,
    decoder: Decoder,
    device: Device,
    kind: Kind,
    checkpoint: Arc<Checkpoint>,
}

/// The diagonal Gaussian that an image is encoded to.
pub struct Posterior {
    /// `[b, latent_channels, h/f, w/f]`.
    pub mean: Tensor,
    /// Of the same shape, clamped to −30..20.
    pub log_variance: Tensor,
}

impl Posterior {
    /// The most likely latents, unscaled: what InstructPix2Pix conditions on.
    pub fn mode(&self) -> Tensor {
        self.mean.shallow_clone()
    }

    /// Latents for the standard normal `noise` of the same shape, unscaled.
    pub fn sample(&self, noise: &Tensor) -> Tensor {
        let noise = noise.to_device(self.mean.device()).to_kind(self.mean.kind());
        &self.mean + (&self.log_variance * 0.5).exp() * noise
    }
}

impl Vae {
    /// Loads `folder/config.json` and the checkpoint beside it.
    ///
    /// A network that says `force_upcast` is kept in float32 when float16 is asked for, as it overflows there.
    pub fn load(
        folder: &Path,
        variant: Option<&str>,
        device: Device,
        kind: Kind,
    ) -> Result<(Self, LoadReport)> {
        let config = VaeConfig::from_file(&folder.join("config.json"))?;
        let kind = if config.force_upcast && kind == Kind::Half { Kind::Float } else { kind };
        let checkpoint = Checkpoint::open(folder, "diffusion_pytorch_model", variant)?;
        weights::load("loading the VAE", checkpoint, device, kind, |at| Self::new(at, config))
    }

    /// The network in training, with float32 leaves; it computes in `kind`.
    pub(crate) fn in_training(config: VaeConfig, parameters: Parameters, kind: Kind) -> Result<Self> {
        let (device, checkpoint) = (parameters.device(), Checkpoint::in_training(parameters));
        let build = |at: &Scope| Self::new(at, config);
        weights::load("building the VAE", checkpoint, device, kind, build).map(|(network, _)| network)
    }

    fn new(at: &Scope, config: VaeConfig) -> Self {
        let latent = config.latent_channels;
        Self {
            encoder: Encoder::new(&(at / "encoder"), &config),
            quant_conv: config
                .use_quant_conv
                .then(|| Linear::pointwise(&(at / "quant_conv"), 2 * latent, 2 * latent)),
            post_quant_conv: config
                .use_post_quant_conv
                .then(|| Linear::pointwise(&(at / "post_quant_conv"), latent, latent)),
            decoder: Decoder::new(&(at / "decoder"), &config),
            device: at.device(),
            kind: at.kind(),
            config,
            checkpoint: at.checkpoint().clone(),
        }
    }

    /// The configuration that the network was built from.
    pub fn config(&self) -> &VaeConfig {
        &self.config
    }

    /// The checkpoint that the weights came from.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// Device of the weights.
    pub fn device(&self) -> Device {
        self.device
    }

    /// Type of the weights and of the forward pass.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// `image [b, in_channels, h, w]` in −1..1, sides divisible by the factor, to its posterior.
    pub fn encode(&self, image: &Tensor) -> Posterior {
        self.posterior(self.encode_moments(image))
    }

    /// Like [`Vae::encode`], in overlapping tiles when a side is longer than the training size: bounded memory, and
    /// the blended seams of the reference's tiled mode.
    pub fn encode_tiled(&self, image: &Tensor) -> Posterior {
        self.posterior(tiling::encode(self, image))
    }

    /// Unscaled `latents [b, latent_channels, h, w]` to an image `[b, out_channels, h·f, w·f]` in about −1..1.
    pub fn decode(&self, latents: &Tensor) -> Tensor {
        let mut z = channels_last(&latents.to_device(self.device).to_kind(self.kind));
        if let Some(conv) = &self.post_quant_conv {
            z = pointwise(conv, &z);
        }
        self.decoder.forward(&z)
    }

    /// Like [`Vae::decode`], in overlapping tiles when a side is longer than the training size.
    pub fn decode_tiled(&self, latents: &Tensor) -> Tensor {
        tiling::decode(self, latents)
    }

    /// `[b, 2·latent_channels, h/f, w/f]`: means and log variances.
    fn encode_moments(&self, image: &Tensor) -> Tensor {
        let x = channels_last(&image.to_device(self.device).to_kind(self.kind));
        let moments = self.encoder.forward(&x);
        match &self.quant_conv {
            None => moments,
            Some(conv) => pointwise(conv, &moments),
        }
    }

    fn posterior(&self, moments: Tensor) -> Posterior {
        let halves = moments.chunk(2, 1);
        Posterior { mean: halves[0].shallow_clone(), log_variance: halves[1].clamp(-30.0, 20.0) }
    }
}

fn pointwise(conv: &Linear, x: &Tensor) -> Tensor {
    let (_, _, h, w) = dims4(x);
    from_tokens(&conv.forward(&to_tokens(x)), h, w)
}
