//! The autoencoder's `config.json`.

use std::path::Path;

use serde_json::json;

use crate::config::ConfigReader;
use crate::error::Result;
use crate::nn::Activation;

/// Fields of `vae/config.json`, named as there.
#[derive(Debug, Clone)]
pub struct VaeConfig {
    /// Channels of the image.
    pub in_channels: i64,
    /// Channels of the decoded image.
    pub out_channels: i64,
    /// Channels of each level.
    pub block_out_channels: Vec<i64>,
    /// Residual blocks of each level of the encoder; the decoder has one more.
    pub layers_per_block: i64,
    /// Channels of the latents.
    pub latent_channels: i64,
    /// Groups of every group norm.
    pub norm_num_groups: i64,
    /// Image height and width that the network was trained at; the size of a tile.
    pub sample_size: i64,
    /// Latents are multiplied by this before diffusion.
    pub scaling_factor: f64,
    /// The network overflows in float16 and is run in float32 instead.
    pub force_upcast: bool,
    /// Whether a 1×1 convolution follows the encoder.
    pub use_quant_conv: bool,
    /// Whether a 1×1 convolution precedes the decoder.
    pub use_post_quant_conv: bool,
    /// Whether the middle blocks have attention.
    pub mid_block_add_attention: bool,
    pub(crate) act_fn: Activation,
}

impl VaeConfig {
    /// Reads the file; an unsupported value or an unknown field is an error that names it.
    pub fn from_file(path: &Path) -> Result<Self> {
        let mut r = ConfigReader::open(path)?;
        r.only("_class_name", &[json!("AutoencoderKL")])?;
        let block_out_channels = r.size_list("block_out_channels", &[64])?;
        let levels = block_out_channels.len();
        for (field, name) in
            [("down_block_types", "DownEncoderBlock2D"), ("up_block_types", "UpDecoderBlock2D")]
        {
            let names = r.strings(field, &[name])?;
            if names.len() != levels || names.iter().any(|n| n != name) {
                return Err(r.refuse(field, &json!(names), format!("{levels} times {name}")));
            }
        }
        for field in ["shift_factor", "latents_mean", "latents_std"] {
            r.only(field, &[])?;
        }
        let config = Self {
            in_channels: r.size("in_channels", 3)?,
            out_channels: r.size("out_channels", 3)?,
            layers_per_block: r.layers("layers_per_block", 1)?,
            latent_channels: r.size("latent_channels", 4)?,
            norm_num_groups: r.size("norm_num_groups", 32)?,
            sample_size: r.size("sample_size", 32)?,
            scaling_factor: r.number("scaling_factor", 0.18215)?,
            force_upcast: r.flag("force_upcast", true)?,
            use_quant_conv: r.flag("use_quant_conv", true)?,
            use_post_quant_conv: r.flag("use_post_quant_conv", true)?,
            mid_block_add_attention: r.flag("mid_block_add_attention", true)?,
            act_fn: r.choice("act_fn", "silu", &Activation::DIFFUSERS)?,
            block_out_channels,
        };
        let multiples = config.block_out_channels.iter().all(|c| c % config.norm_num_groups == 0);
        if !multiples {
            let expected = format!("each a multiple of norm_num_groups = {}", config.norm_num_groups);
            return Err(r.refuse("block_out_channels", &json!(config.block_out_channels), expected));
        }
        if config.scaling_factor == 0.0 {
            return Err(r.refuse("scaling_factor", &json!(0), "a number other than 0"));
        }
        r.finish()?;
        Ok(config)
    }

    /// Image pixels per latent pixel along each side.
    pub fn factor(&self) -> i64 {
        1 << (self.block_out_channels.len() - 1)
    }
}
