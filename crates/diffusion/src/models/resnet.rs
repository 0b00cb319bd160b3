//! The residual block and the resampling layers of UNet and VAE.
//!
//! Source: diffusers v0.42.1 `models/resnet.py` `ResnetBlock2D`, `downsampling.py`, `upsampling.py`.

use tch::Tensor;

use crate::nn::{Activation, Conv2d, GroupNorm, Linear, dims4, from_tokens, to_tokens};
use crate::training::Begin;
use crate::weights::Scope;

/// What the residual blocks of one network have in common.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ResnetConfig {
    pub(crate) groups: i64,
    pub(crate) eps: f64,
    pub(crate) act: Activation,
    /// Width of the time embedding; `None` in the VAE.
    pub(crate) time: Option<i64>,
}

/// Norm, activation, convolution, twice, with the time embedding added between.
pub(crate) struct ResnetBlock {
    norm1: GroupNorm,
    conv1: Conv2d,
    time_emb_proj: Option<Linear>,
    norm2: GroupNorm,
    conv2: Conv2d,
    conv_shortcut: Option<Linear>,
    act: Activation,
}

impl ResnetBlock {
    pub(crate) fn new(at: &Scope, inputs: i64, outputs: i64, config: &ResnetConfig) -> Self {
        let ResnetConfig { groups, eps, act, time } = *config;
        Self {
            norm1: GroupNorm::new(&(at / "norm1"), inputs, groups, eps),
            conv1: Conv2d::same3(&(at / "conv1"), inputs, outputs),
            time_emb_proj: time.map(|t| Linear::new(&(at / "time_emb_proj"), t, outputs, true)),
            norm2: GroupNorm::new(&(at / "norm2"), outputs, groups, eps),
            conv2: Conv2d::same3(&(at / "conv2").zeroed(), outputs, outputs),
            conv_shortcut: (inputs != outputs)
                .then(|| Linear::pointwise(&through(at / "conv_shortcut", 0, 1), inputs, outputs)),
            act,
        }
    }

    /// `x [b, inputs, h, w]`, activated time embedding `temb [b, time]`; result `[b, outputs, h, w]`.
    pub(crate) fn forward(&self, x: &Tensor, temb: Option<&Tensor>) -> Tensor {
        let mut h = self.conv1.forward(&self.norm1.activated(x, self.act));
        if let (Some(proj), Some(temb)) = (&self.time_emb_proj, temb) {
            h += proj.forward(temb).unsqueeze(-1).unsqueeze(-1);
        }
        let h = self.conv2.forward(&self.norm2.activated(&h, self.act));
        match &self.conv_shortcut {
            None => h + x,
            Some(shortcut) => {
                let (_, _, height, width) = dims4(x);
                h + from_tokens(&shortcut.forward(&to_tokens(x)), height, width)
            }
        }
    }
}

/// The path of a layer that begins by passing channels on.
fn through(at: Scope, first: i64, taps: i64) -> Scope {
    at.beginning(Begin::Through { first, taps })
}

/// A convolution of stride 2.
pub(crate) struct Downsample {
    conv: Conv2d,
    pad: bool,
}

impl Downsample {
    /// With `padding` 0 the right and bottom edge get one row of zeros instead.
    pub(crate) fn new(at: &Scope, channels: i64, padding: i64) -> Self {
        // The window's rows and columns that are the output's own, without those of padding.
        let at = through(at / "conv", padding, 2);
        Self { conv: Conv2d::new(&at, channels, channels, 3, 2, padding), pad: padding == 0 }
    }

    /// `[b, c, h, w]` to `[b, c, h/2, w/2]`.
    pub(crate) fn forward(&self, x: &Tensor) -> Tensor {
        if self.pad { self.conv.forward(&x.constant_pad_nd([0, 1, 0, 1])) } else { self.conv.forward(x) }
    }
}

/// Nearest-neighbour enlargement and a convolution.
pub(crate) struct Upsample {
    conv: Conv2d,
}

impl Upsample {
    pub(crate) fn new(at: &Scope, channels: i64) -> Self {
        Self { conv: Conv2d::same3(&through(at / "conv", 1, 1), channels, channels) }
    }

    /// `[b, c, h, w]` to `[b, c, size.0, size.1]`.
    pub(crate) fn forward(&self, x: &Tensor, size: (i64, i64)) -> Tensor {
        self.conv.forward(&x.upsample_nearest2d([size.0, size.1], None, None))
    }
}
