//! `UNet2DConditionModel`: Stable Diffusion 1.x, 2.x, and the 8-channel InstructPix2Pix form.
//!
//! Source: diffusers v0.42.1 `models/unets/unet_2d_condition.py`, `unet_2d_blocks.py`.

mod blocks;
mod config;
mod time;
mod transformer;

use std::path::Path;
use std::sync::Arc;

use tch::{Device, Kind, Tensor};

pub use config::UNetConfig;
pub use transformer::{AttentionMap, TextKv};

use crate::checkpoint::Checkpoint;
use crate::error::Result;
use crate::models::resnet::ResnetConfig;
use crate::models::spatial::{Spatial, SpatialBatch};
use crate::nn::{Conv2d, GroupNorm, channels_last};
use crate::training::Parameters;
use crate::weights::{self, LoadReport, Scope};
use blocks::{DownBlock, MidBlock, UpBlock};
use time::TimeEmbedding;
use transformer::{CrossAttention, Pass};

/// The denoising network. Every row of a batch has its own timestep.
pub struct UNet {
    config: UNetConfig,
    conv_in: Conv2d,
    time_embedding: TimeEmbedding,
    down_blocks: Vec<DownBlock>,
    mid_block: MidBlock,
    up_blocks: Vec<UpBlock>,
    conv_norm_out: GroupNorm,
    conv_out: Conv2d,
    device: Device,
    kind: Kind,
    checkpoint: Arc<Checkpoint>,
}

impl UNet {
    /// Loads `folder/config.json` and the checkpoint beside it.
    pub fn load(
        folder: &Path,
        variant: Option<&str>,
        device: Device,
        kind: Kind,
    ) -> Result<(Self, LoadReport)> {
        let config = UNetConfig::from_file(&folder.join("config.json"))?;
        let checkpoint = Checkpoint::open(folder, "diffusion_pytorch_model", variant)?;
        weights::load("loading the UNet", checkpoint, device, kind, |at| Self::new(at, config))
    }

    /// The network in training, with float32 leaves; it computes in `kind`.
    pub(crate) fn in_training(config: UNetConfig, parameters: Parameters, kind: Kind) -> Result<Self> {
        let (device, checkpoint) = (parameters.device(), Checkpoint::in_training(parameters));
        let build = |at: &Scope| Self::new(at, config);
        weights::load("building the UNet", checkpoint, device, kind, build).map(|(network, _)| network)
    }

    fn new(at: &Scope, config: UNetConfig) -> Self {
        let c = &config;
        let resnet = ResnetConfig {
            groups: c.norm_num_groups,
            eps: c.norm_eps,
            act: c.act_fn,
            time: Some(c.time_embed_dim),
        };
        let first = c.block_out_channels[0];
        let down_blocks =
            (0..c.levels()).map(|i| DownBlock::new(&(at / "down_blocks" / i), c, i, &resnet)).collect();
        let up_blocks =
            (0..c.levels()).map(|i| UpBlock::new(&(at / "up_blocks" / i), c, i, &resnet)).collect();
        Self {
            conv_in: Conv2d::new(
                &(at / "conv_in"),
                c.in_channels,
                first,
                c.conv_in_kernel,
                1,
                (c.conv_in_kernel - 1) / 2,
            ),
            time_embedding: TimeEmbedding::new(&(at / "time_embedding"), c),
            down_blocks,
            mid_block: MidBlock::new(&(at / "mid_block"), c, &resnet),
            up_blocks,
            conv_norm_out: GroupNorm::new(&(at / "conv_norm_out"), first, c.norm_num_groups, c.norm_eps),
            conv_out: Conv2d::new(
                &(at / "conv_out"),
                first,
                c.out_channels,
                c.conv_out_kernel,
                1,
                (c.conv_out_kernel - 1) / 2,
            ),
            device: at.device(),
            kind: at.kind(),
            config,
            checkpoint: at.checkpoint().clone(),
        }
    }

    /// The configuration that the network was built from.
    pub fn config(&self) -> &UNetConfig {
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

    /// Keys and values of every cross-attention for `text [p, n, cross_attention_dim]`: constant over all steps.
    pub fn text_kv(&self, text: &Tensor) -> TextKv {
        let text = text.to_device(self.device).to_kind(self.kind);
        TextKv(self.cross_attentions().map(|attention| attention.keys_values(&text)).collect())
    }

    fn cross_attentions(&self) -> impl Iterator<Item = &CrossAttention> {
        let down = self.down_blocks.iter().flat_map(DownBlock::cross_attentions);
        let up = self.up_blocks.iter().flat_map(UpBlock::cross_attentions);
        down.chain(self.mid_block.cross_attentions()).chain(up)
    }

    /// One forward pass.
    ///
    /// `sample [b, in_channels, h, w]`, `timesteps [b]` float32 (they may differ between rows and be fractional), `text`
    /// with `b` rows; result `[b, out_channels, h, w]` in the network's type. `map` redirects self-attention between
    /// rows and costs nothing when absent.
    pub fn forward(
        &self,
        sample: &Tensor,
        timesteps: &Tensor,
        text: &TextKv,
        map: Option<&AttentionMap>,
    ) -> Tensor {
        self.forward_spatial(sample, timesteps, text, map, None)
    }

    /// [`UNet::forward`] with the spatial layer, which must have been loaded for this network.
    pub fn forward_spatial(
        &self,
        sample: &Tensor,
        timesteps: &Tensor,
        text: &TextKv,
        map: Option<&AttentionMap>,
        spatial: Option<(&Spatial, &SpatialBatch)>,
    ) -> Tensor {
        let mut sample = channels_last(&sample.to_device(self.device).to_kind(self.kind));
        if self.config.center_input_sample {
            sample = sample * 2.0 - 1.0;
        }
        // Every residual block takes the activated embedding: activate it once.
        let temb = self.config.act_fn.consume(self.time_embedding.forward(timesteps, self.kind));
        let layers = spatial.map(|(spatial, batch)| (spatial.attentions().iter(), batch));
        let mut pass = Pass { text: text.0.iter(), map, spatial: layers };
        let mut x = self.conv_in.forward(&sample);
        if let Some((_, batch)) = spatial {
            x += &batch.added;
        }
        let mut skips = vec![x.shallow_clone()];
        for block in &self.down_blocks {
            x = block.forward(&x, &temb, &mut pass, &mut skips);
        }
        x = self.mid_block.forward(&x, &temb, &mut pass);
        for block in &self.up_blocks {
            x = block.forward(&x, &temb, &mut pass, &mut skips);
        }
        self.conv_out.forward(&self.conv_norm_out.activated(&x, self.config.act_fn))
    }
}
