//! Encoder and decoder of the autoencoder.

use tch::Tensor;

use super::VaeConfig;
use crate::models::resnet::{Downsample, ResnetBlock, ResnetConfig, Upsample};
use crate::nn::{Activation, Conv2d, GroupNorm, Linear, attention, dims4, from_tokens, to_tokens};
use crate::weights::Scope;

/// Epsilon of every group norm, fixed in the reference.
const EPS: f64 = 1e-6;

/// One-head self-attention over all positions, with a residual connection.
struct Attention {
    group_norm: GroupNorm,
    q: Linear,
    k: Linear,
    v: Linear,
    out: Linear,
}

impl Attention {
    fn new(at: &Scope, channels: i64, groups: i64) -> Self {
        // Checkpoints from before diffusers 0.15 use other names for the same four layers.
        let old = (at / "query").has("weight");
        let names =
            if old { ["query", "key", "value", "proj_attn"] } else { ["to_q", "to_k", "to_v", "to_out.0"] };
        let [q, k, v] = [0, 1, 2].map(|i| Linear::new(&(at / names[i]), channels, channels, true));
        let out = Linear::new(&(at / names[3]).zeroed(), channels, channels, true);
        Self { group_norm: GroupNorm::new(&(at / "group_norm"), channels, groups, EPS), q, k, v, out }
    }

    fn forward(&self, x: &Tensor) -> Tensor {
        let (_, _, h, w) = dims4(x);
        let tokens = to_tokens(&self.group_norm.forward(x)); // [b, h·w, c]
        let head = |layer: &Linear| layer.forward(&tokens).unsqueeze(1); // [b, 1, h·w, c]
        let out = attention(&head(&self.q), &head(&self.k), &head(&self.v), false, false);
        from_tokens(&self.out.forward(&out), h, w) + x
    }
}

struct MidBlock {
    first: ResnetBlock,
    attention: Option<Attention>,
    second: ResnetBlock,
}

impl MidBlock {
    fn new(at: &Scope, channels: i64, config: &VaeConfig, resnet: &ResnetConfig) -> Self {
        Self {
            first: ResnetBlock::new(&(at / "resnets" / 0), channels, channels, resnet),
            attention: config
                .mid_block_add_attention
                .then(|| Attention::new(&(at / "attentions" / 0), channels, resnet.groups)),
            second: ResnetBlock::new(&(at / "resnets" / 1), channels, channels, resnet),
        }
    }

    fn forward(&self, x: &Tensor) -> Tensor {
        let mut x = self.first.forward(x, None);
        if let Some(attention) = &self.attention {
            x = attention.forward(&x);
        }
        self.second.forward(&x, None)
    }
}

fn resnets(at: &Scope, count: i64, inputs: i64, outputs: i64, config: &ResnetConfig) -> Vec<ResnetBlock> {
    let resnet =
        |i| ResnetBlock::new(&(at / "resnets" / i), if i == 0 { inputs } else { outputs }, outputs, config);
    (0..count).map(resnet).collect()
}

fn resnet_config(config: &VaeConfig) -> ResnetConfig {
    ResnetConfig { groups: config.norm_num_groups, eps: EPS, act: config.act_fn, time: None }
}

/// Norm, SiLU (whatever `act_fn` says, as in the reference) and convolution at the end of both halves.
struct Head {
    norm: GroupNorm,
    conv: Conv2d,
}

impl Head {
    fn new(at: &Scope, inputs: i64, outputs: i64, config: &VaeConfig) -> Self {
        Self {
            norm: GroupNorm::new(&(at / "conv_norm_out"), inputs, config.norm_num_groups, EPS),
            conv: Conv2d::same3(&(at / "conv_out"), inputs, outputs),
        }
    }

    fn forward(&self, x: &Tensor) -> Tensor {
        self.conv.forward(&self.norm.activated(x, Activation::Silu))
    }
}

pub(super) struct Encoder {
    conv_in: Conv2d,
    down_blocks: Vec<(Vec<ResnetBlock>, Option<Downsample>)>,
    mid_block: MidBlock,
    head: Head,
}

impl Encoder {
    pub(super) fn new(at: &Scope, config: &VaeConfig) -> Self {
        let channels = &config.block_out_channels;
        let resnet = resnet_config(config);
        let last = channels.len() - 1;
        let level = |i: usize| {
            let at = at / "down_blocks" / i;
            let (inputs, outputs) = (channels[i.saturating_sub(1)], channels[i]);
            let downsample = (i < last).then(|| Downsample::new(&(&at / "downsamplers" / 0), outputs, 0));
            (resnets(&at, config.layers_per_block, inputs, outputs, &resnet), downsample)
        };
        Self {
            conv_in: Conv2d::same3(&(at / "conv_in"), config.in_channels, channels[0]),
            down_blocks: (0..channels.len()).map(level).collect(),
            mid_block: MidBlock::new(&(at / "mid_block"), channels[last], config, &resnet),
            head: Head::new(at, channels[last], 2 * config.latent_channels, config),
        }
    }

    /// `[b, in_channels, h, w]` to `[b, 2·latent_channels, h/f, w/f]`.
    pub(super) fn forward(&self, x: &Tensor) -> Tensor {
        let mut x = self.conv_in.forward(x);
        for (resnets, downsample) in &self.down_blocks {
            for resnet in resnets {
                x = resnet.forward(&x, None);
            }
            if let Some(downsample) = downsample {
                x = downsample.forward(&x);
            }
        }
        self.head.forward(&self.mid_block.forward(&x))
    }
}

pub(super) struct Decoder {
    conv_in: Conv2d,
    mid_block: MidBlock,
    up_blocks: Vec<(Vec<ResnetBlock>, Option<Upsample>)>,
    head: Head,
}

impl Decoder {
    pub(super) fn new(at: &Scope, config: &VaeConfig) -> Self {
        let channels = &config.block_out_channels;
        let resnet = resnet_config(config);
        let last = channels.len() - 1;
        let level = |i: usize| {
            let at = at / "up_blocks" / i;
            let (inputs, outputs) = (channels[(last - i + 1).min(last)], channels[last - i]);
            let upsample = (i < last).then(|| Upsample::new(&(&at / "upsamplers" / 0), outputs));
            (resnets(&at, config.layers_per_block + 1, inputs, outputs, &resnet), upsample)
        };
        Self {
            conv_in: Conv2d::same3(&(at / "conv_in"), config.latent_channels, channels[last]),
            mid_block: MidBlock::new(&(at / "mid_block"), channels[last], config, &resnet),
            up_blocks: (0..channels.len()).map(level).collect(),
            head: Head::new(at, channels[0], config.out_channels, config),
        }
    }

    /// `[b, latent_channels, h, w]` to `[b, out_channels, h·f, w·f]`.
    pub(super) fn forward(&self, z: &Tensor) -> Tensor {
        let mut x = self.mid_block.forward(&self.conv_in.forward(z));
        for (resnets, upsample) in &self.up_blocks {
            for resnet in resnets {
                x = resnet.forward(&x, None);
            }
            if let Some(upsample) = upsample {
                let (_, _, h, w) = dims4(&x);
                x = upsample.forward(&x, (2 * h, 2 * w));
            }
        }
        self.head.forward(&x)
    }
}
