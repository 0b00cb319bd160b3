//! The timestep embedding.
//!
//! Source: diffusers v0.42.1 `models/embeddings.py` `get_timestep_embedding`, `TimestepEmbedding`.

use tch::{Kind, Tensor};

use super::UNetConfig;
use crate::nn::{Activation, Linear};
use crate::weights::Scope;

/// Sinusoids of the timestep through a two-layer network.
pub(super) struct TimeEmbedding {
    /// `[half]` float32.
    frequencies: Tensor,
    flip: bool,
    pad: bool,
    linear_1: Linear,
    linear_2: Linear,
    act: Activation,
}

impl TimeEmbedding {
    pub(super) fn new(at: &Scope, config: &UNetConfig) -> Self {
        let width = config.block_out_channels[0];
        let half = width / 2;
        let exponent = Tensor::arange(half, (Kind::Float, at.device())) * -(10000f64.ln());
        Self {
            frequencies: (exponent / (half as f64 - config.freq_shift)).exp(),
            flip: config.flip_sin_to_cos,
            pad: width % 2 == 1,
            linear_1: Linear::new(&(at / "linear_1"), width, config.time_embed_dim, true),
            linear_2: Linear::new(&(at / "linear_2"), config.time_embed_dim, config.time_embed_dim, true),
            act: config.act_fn,
        }
    }

    /// `timesteps [b]` float32 to `[b, time_embed_dim]` in `kind`.
    pub(super) fn forward(&self, timesteps: &Tensor, kind: Kind) -> Tensor {
        let timesteps = timesteps.to_device(self.frequencies.device()).to_kind(Kind::Float);
        let phase = timesteps.unsqueeze(1) * self.frequencies.unsqueeze(0);
        let (sin, cos) = (phase.sin(), phase.cos());
        let mut waves = Tensor::cat(&if self.flip { [cos, sin] } else { [sin, cos] }, 1);
        if self.pad {
            waves = waves.constant_pad_nd([0, 1]);
        }
        self.linear_2.forward(&self.act.consume(self.linear_1.forward(&waves.to_kind(kind))))
    }
}
