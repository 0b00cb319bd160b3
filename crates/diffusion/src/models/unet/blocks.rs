//! Down, middle and up levels.
//!
//! Source: diffusers v0.42.1 `models/unets/unet_2d_blocks.py` `(CrossAttn)DownBlock2D`, `UNetMidBlock2DCrossAttn`,
//! `(CrossAttn)UpBlock2D`.

use tch::Tensor;

use super::UNetConfig;
use super::transformer::{CrossAttention, Pass, SpatialTransformer};
use crate::models::resnet::{Downsample, ResnetBlock, ResnetConfig, Upsample};
use crate::nn::dims4;
use crate::weights::Scope;

struct Layer {
    resnet: ResnetBlock,
    attention: Option<SpatialTransformer>,
}

impl Layer {
    fn forward(&self, x: &Tensor, temb: &Tensor, pass: &mut Pass) -> Tensor {
        let x = self.resnet.forward(x, Some(temb));
        match &self.attention {
            None => x,
            Some(attention) => attention.forward(&x, pass),
        }
    }
}

fn cross_attentions(layers: &[Layer]) -> impl Iterator<Item = &CrossAttention> {
    layers.iter().filter_map(|l| l.attention.as_ref()).flat_map(SpatialTransformer::cross_attentions)
}

pub(super) struct DownBlock {
    layers: Vec<Layer>,
    downsample: Option<Downsample>,
}

impl DownBlock {
    pub(super) fn new(at: &Scope, config: &UNetConfig, level: usize, resnet: &ResnetConfig) -> Self {
        let outputs = config.block_out_channels[level];
        let inputs = config.block_out_channels[level.saturating_sub(1)];
        let layer = |i: i64| Layer {
            resnet: ResnetBlock::new(
                &(at / "resnets" / i),
                if i == 0 { inputs } else { outputs },
                outputs,
                resnet,
            ),
            attention: config.down_attention[level]
                .then(|| SpatialTransformer::new(&(at / "attentions" / i), config, level)),
        };
        let last = level + 1 == config.levels();
        Self {
            layers: (0..config.layers_per_block[level]).map(layer).collect(),
            downsample: (!last)
                .then(|| Downsample::new(&(at / "downsamplers" / 0), outputs, config.downsample_padding)),
        }
    }

    pub(super) fn cross_attentions(&self) -> impl Iterator<Item = &CrossAttention> {
        cross_attentions(&self.layers)
    }

    /// Appends every intermediate result to `skips`.
    pub(super) fn forward(
        &self,
        x: &Tensor,
        temb: &Tensor,
        pass: &mut Pass,
        skips: &mut Vec<Tensor>,
    ) -> Tensor {
        let mut x = x.shallow_clone();
        for layer in &self.layers {
            x = layer.forward(&x, temb, pass);
            skips.push(x.shallow_clone());
        }
        if let Some(downsample) = &self.downsample {
            x = downsample.forward(&x);
            skips.push(x.shallow_clone());
        }
        x
    }
}

pub(super) struct MidBlock {
    first: ResnetBlock,
    attention: SpatialTransformer,
    second: ResnetBlock,
}

impl MidBlock {
    pub(super) fn new(at: &Scope, config: &UNetConfig, resnet: &ResnetConfig) -> Self {
        let level = config.levels() - 1;
        let channels = config.block_out_channels[level];
        Self {
            first: ResnetBlock::new(&(at / "resnets" / 0), channels, channels, resnet),
            attention: SpatialTransformer::new(&(at / "attentions" / 0), config, level),
            second: ResnetBlock::new(&(at / "resnets" / 1), channels, channels, resnet),
        }
    }

    pub(super) fn cross_attentions(&self) -> impl Iterator<Item = &CrossAttention> {
        self.attention.cross_attentions()
    }

    pub(super) fn forward(&self, x: &Tensor, temb: &Tensor, pass: &mut Pass) -> Tensor {
        let x = self.first.forward(x, Some(temb));
        self.second.forward(&self.attention.forward(&x, pass), Some(temb))
    }
}

pub(super) struct UpBlock {
    layers: Vec<Layer>,
    upsample: Option<Upsample>,
}

impl UpBlock {
    /// `index` counts from the coarsest level up.
    pub(super) fn new(at: &Scope, config: &UNetConfig, index: usize, resnet: &ResnetConfig) -> Self {
        let channels = &config.block_out_channels;
        let level = config.levels() - 1 - index;
        let outputs = channels[level];
        let previous = channels[(level + 1).min(config.levels() - 1)];
        let skip_of_last = channels[level.saturating_sub(1)];
        let count = config.layers_per_block[level] + 1;
        let layer = |i: i64| {
            let inputs = if i == 0 { previous } else { outputs };
            let skip = if i + 1 == count { skip_of_last } else { outputs };
            Layer {
                resnet: ResnetBlock::new(&(at / "resnets" / i), inputs + skip, outputs, resnet),
                attention: config.up_attention[index]
                    .then(|| SpatialTransformer::new(&(at / "attentions" / i), config, level)),
            }
        };
        Self {
            layers: (0..count).map(layer).collect(),
            upsample: (level > 0).then(|| Upsample::new(&(at / "upsamplers" / 0), outputs)),
        }
    }

    pub(super) fn cross_attentions(&self) -> impl Iterator<Item = &CrossAttention> {
        cross_attentions(&self.layers)
    }

    /// Takes its results from the end of `skips`.
    pub(super) fn forward(
        &self,
        x: &Tensor,
        temb: &Tensor,
        pass: &mut Pass,
        skips: &mut Vec<Tensor>,
    ) -> Tensor {
        let mut x = x.shallow_clone();
        for layer in &self.layers {
            let skip = skips.pop().expect("one skip per up layer, by construction of the levels");
            x = layer.forward(&Tensor::cat(&[x, skip], 1), temb, pass);
        }
        match (&self.upsample, skips.last()) {
            (Some(upsample), Some(next)) => {
                // The next skip's size rather than twice this one: odd sizes come back exactly.
                let (_, _, h, w) = dims4(next);
                upsample.forward(&x, (h, w))
            }
            _ => x,
        }
    }
}
