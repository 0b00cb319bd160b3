//! The UNet's `config.json`.

use std::path::Path;

use serde_json::{Value, json};

use crate::config::ConfigReader;
use crate::error::Result;
use crate::nn::Activation;

/// Fields of `unet/config.json`, named as there, one entry per level where the file may give a list.
#[derive(Debug, Clone)]
pub struct UNetConfig {
    /// Height and width of the latents that the network was trained at.
    pub sample_size: (i64, i64),
    /// Channels in: 4, or 8 for InstructPix2Pix (latents and image latents).
    pub in_channels: i64,
    /// Channels out.
    pub out_channels: i64,
    /// Whether each down level has cross-attention.
    pub down_attention: Vec<bool>,
    /// Whether each up level has cross-attention.
    pub up_attention: Vec<bool>,
    /// Channels of each level.
    pub block_out_channels: Vec<i64>,
    /// Residual blocks of each down level.
    pub layers_per_block: Vec<i64>,
    /// Transformer blocks per attention of each level.
    pub transformer_layers_per_block: Vec<i64>,
    /// Attention *heads* of each level; the file's `attention_head_dim`, a historical misnomer.
    pub heads: Vec<i64>,
    /// Width of the text embeddings of each level.
    pub cross_attention_dim: Vec<i64>,
    /// Whether the transformers' projections are linear layers rather than 1×1 convolutions.
    pub use_linear_projection: bool,
    /// Whether 16-bit attention products are taken in float32.
    pub upcast_attention: bool,
    /// Groups of every group norm.
    pub norm_num_groups: i64,
    /// Epsilon of the group norms outside of the transformers.
    pub norm_eps: f64,
    /// Padding of the down-sampling convolutions.
    pub downsample_padding: i64,
    /// Cosine before sine in the timestep embedding.
    pub flip_sin_to_cos: bool,
    /// Shift of the timestep embedding's frequencies.
    pub freq_shift: f64,
    /// Width of the time embedding.
    pub time_embed_dim: i64,
    /// Whether the input is mapped from 0..1 to −1..1.
    pub center_input_sample: bool,
    /// Kernel of the first convolution.
    pub conv_in_kernel: i64,
    /// Kernel of the last convolution.
    pub conv_out_kernel: i64,
    pub(crate) act_fn: Activation,
}

impl UNetConfig {
    /// Reads the file; an unsupported value or an unknown field is an error that names it.
    pub fn from_file(path: &Path) -> Result<Self> {
        let mut r = ConfigReader::open(path)?;
        r.only("_class_name", &[json!("UNet2DConditionModel")])?;
        refuse_unsupported(&mut r)?;
        let block_out_channels = r.size_list("block_out_channels", &[320, 640, 1280, 1280])?;
        let levels = block_out_channels.len();
        let down = r.strings(
            "down_block_types",
            &["CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"],
        )?;
        let up = r.strings(
            "up_block_types",
            &["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"],
        )?;
        let down_attention =
            attention_of(&r, "down_block_types", &down, levels, "CrossAttnDownBlock2D", "DownBlock2D")?;
        let up_attention =
            attention_of(&r, "up_block_types", &up, levels, "CrossAttnUpBlock2D", "UpBlock2D")?;
        let first = block_out_channels[0];
        let sample_size = r.sizes("sample_size", 64, 2)?;
        let config = Self {
            sample_size: (sample_size[0], sample_size[1]),
            in_channels: r.size("in_channels", 4)?,
            out_channels: r.size("out_channels", 4)?,
            down_attention,
            up_attention,
            layers_per_block: r.layers_list("layers_per_block", 2, levels)?,
            transformer_layers_per_block: r.layers_list("transformer_layers_per_block", 1, levels)?,
            heads: r.sizes("attention_head_dim", 8, levels)?,
            cross_attention_dim: r.sizes("cross_attention_dim", 1280, levels)?,
            use_linear_projection: r.flag("use_linear_projection", false)?,
            upcast_attention: r.flag("upcast_attention", false)?,
            norm_num_groups: r.size("norm_num_groups", 32)?,
            norm_eps: r.epsilon("norm_eps", 1e-5)?,
            downsample_padding: r.choice_number("downsample_padding", 1, &[0, 1])?,
            flip_sin_to_cos: r.flag("flip_sin_to_cos", true)?,
            freq_shift: r.number("freq_shift", 0.0)?,
            time_embed_dim: r.size("time_embedding_dim", first * 4)?,
            center_input_sample: r.flag("center_input_sample", false)?,
            conv_in_kernel: r.choice_number("conv_in_kernel", 3, &[1, 3, 5, 7])?,
            conv_out_kernel: r.choice_number("conv_out_kernel", 3, &[1, 3, 5, 7])?,
            act_fn: r.choice("act_fn", "silu", &Activation::DIFFUSERS)?,
            block_out_channels,
        };
        config.check(&r)?;
        r.finish()?;
        Ok(config)
    }

    /// Number of resolution levels.
    pub fn levels(&self) -> usize {
        self.block_out_channels.len()
    }

    /// Every transformer block as its path in the checkpoint and its level, in the order of the forward pass.
    pub(crate) fn transformer_blocks(&self) -> Vec<(String, usize)> {
        let last = self.levels() - 1;
        let mut blocks = Vec::new();
        let mut add = |path: String, level: usize, attentions: i64| {
            for i in 0..attentions {
                let depth = self.transformer_layers_per_block[level];
                let block = |k: i64| (format!("{path}.attentions.{i}.transformer_blocks.{k}"), level);
                blocks.extend((0..depth).map(block));
            }
        };
        for level in (0..=last).filter(|&level| self.down_attention[level]) {
            add(format!("down_blocks.{level}"), level, self.layers_per_block[level]);
        }
        add("mid_block".to_owned(), last, 1);
        for index in (0..=last).filter(|&index| self.up_attention[index]) {
            let level = last - index;
            add(format!("up_blocks.{index}"), level, self.layers_per_block[level] + 1);
        }
        blocks
    }

    fn check(&self, r: &ConfigReader) -> Result<()> {
        let half = self.block_out_channels[0] / 2;
        if half > 0 && self.freq_shift >= half as f64 {
            let expected = format!("a number below half of the first block_out_channels, {half}");
            return Err(r.refuse("freq_shift", &json!(self.freq_shift), expected));
        }
        for (level, &channels) in self.block_out_channels.iter().enumerate() {
            let value = json!(self.block_out_channels);
            if channels % self.norm_num_groups != 0 {
                let expected = format!("each a multiple of norm_num_groups = {}", self.norm_num_groups);
                return Err(r.refuse("block_out_channels", &value, expected));
            }
            let heads = self.heads[level];
            if channels % heads != 0 {
                let expected = format!("level {level} a multiple of its {heads} heads (attention_head_dim)");
                return Err(r.refuse("block_out_channels", &value, expected));
            }
        }
        Ok(())
    }
}

/// Fields of the reference class that no Stable Diffusion 1.x, 2.x or InstructPix2Pix model sets to anything else.
fn refuse_unsupported(r: &mut ConfigReader) -> Result<()> {
    r.only("mid_block_type", &[json!("UNetMidBlock2DCrossAttn")])?;
    for (field, value) in [
        ("only_cross_attention", json!(false)),
        ("mid_block_only_cross_attention", json!(false)),
        ("mid_block_scale_factor", json!(1)),
        ("dual_cross_attention", json!(false)),
        ("resnet_time_scale_shift", json!("default")),
        ("resnet_skip_time_act", json!(false)),
        ("resnet_out_scale_factor", json!(1.0)),
        ("time_embedding_type", json!("positional")),
        ("attention_type", json!("default")),
        ("class_embeddings_concat", json!(false)),
    ] {
        let int = value.as_f64().map(|v| json!(v as i64));
        let float = value.as_f64().map(|v| json!(v));
        let allowed: Vec<Value> = [Some(value), int, float].into_iter().flatten().collect();
        r.only(field, &allowed)?;
    }
    for field in [
        "reverse_transformer_layers_per_block",
        "encoder_hid_dim",
        "encoder_hid_dim_type",
        "num_attention_heads",
        "class_embed_type",
        "addition_embed_type",
        "addition_time_embed_dim",
        "num_class_embeds",
        "time_embedding_act_fn",
        "timestep_post_act",
        "time_cond_proj_dim",
        "projection_class_embeddings_input_dim",
        "cross_attention_norm",
    ] {
        r.only(field, &[])?;
    }
    // No effect without the feature that they belong to, or at inference.
    r.ignore(&["addition_embed_type_num_heads", "dropout"]);
    Ok(())
}

fn attention_of(
    r: &ConfigReader,
    field: &str,
    names: &[String],
    levels: usize,
    with: &str,
    without: &str,
) -> Result<Vec<bool>> {
    let known = |name: &String| name == with || name == without;
    if names.len() != levels || !names.iter().all(known) {
        return Err(r.refuse(field, &json!(names), format!("{levels} names, each {with} or {without}")));
    }
    Ok(names.iter().map(|name| name == with).collect())
}
