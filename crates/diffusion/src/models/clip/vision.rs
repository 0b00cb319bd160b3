//! The image encoder of CLIP.
//!
//! Source: transformers v5.23.0 `models/clip/modeling_clip.py` `CLIPVisionModel`, `CLIPVisionEmbeddings`.

use tch::{Device, Kind, Tensor};

use super::ClipVisionConfig;
use super::encoder::Encoder;
use crate::error::{Error, Result};
use crate::nn::{Conv2d, Embedding, LayerNorm, channels_last, to_tokens};
use crate::weights::Scope;

pub(super) struct VisionTransformer {
    config: ClipVisionConfig,
    /// `[hidden_size]`.
    class_embedding: Tensor,
    patch_embedding: Conv2d,
    position_embedding: Embedding,
    pre_layer_norm: LayerNorm,
    encoder: Encoder,
    post_layer_norm: LayerNorm,
    device: Device,
    kind: Kind,
}

impl VisionTransformer {
    pub(super) fn new(at: &Scope, config: ClipVisionConfig) -> Self {
        let (width, eps) = (config.hidden_size, config.encoder.layer_norm_eps);
        let embeddings = at / "embeddings";
        // A constant that older files carry.
        embeddings.ignore("position_ids");
        let patch_embedding = Conv2d::patches(
            &(&embeddings / "patch_embedding"),
            config.num_channels,
            width,
            config.patch_size,
        );
        Self {
            class_embedding: embeddings.get("class_embedding", &[width]),
            patch_embedding,
            position_embedding: Embedding::new(
                &(&embeddings / "position_embedding"),
                config.grid() * config.grid() + 1,
                width,
            ),
            // The name is misspelt in every checkpoint.
            pre_layer_norm: LayerNorm::new(&(at / "pre_layrnorm"), width, eps),
            encoder: Encoder::new(&(at / "encoder"), &config.encoder),
            post_layer_norm: LayerNorm::new(&(at / "post_layernorm"), width, eps),
            device: at.device(),
            kind: at.kind(),
            config,
        }
    }

    /// `pixels [b, num_channels, image_size, image_size]`, preprocessed, to `[b, hidden_size]`.
    pub(super) fn forward(&self, pixels: &Tensor) -> Result<Tensor> {
        let side = self.config.image_size;
        let (shape, expected) = (pixels.size(), [self.config.num_channels, side, side]);
        if shape.len() != 4 || shape[0] == 0 || shape[1..] != expected {
            return Err(Error::Parameter {
                name: "pixels",
                value: format!("of the shape {shape:?}"),
                expected: format!("the shape [batch, {}, {side}, {side}]", self.config.num_channels),
            });
        }
        let pixels = channels_last(&pixels.to_device(self.device).to_kind(self.kind));
        let patches = to_tokens(&self.patch_embedding.forward(&pixels)); // [b, grid², width]
        let class = self.class_embedding.expand([shape[0], 1, -1], false);
        let positions = self.position_embedding.first(patches.size()[1] + 1);
        let x = self.pre_layer_norm.forward(&(Tensor::cat(&[class, patches], 1) + positions));
        let x = self.encoder.forward(x, false, self.encoder.len());
        Ok(self.post_layer_norm.forward(&x.select(1, 0)))
    }
}
