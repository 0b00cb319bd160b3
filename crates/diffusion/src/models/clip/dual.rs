//! `CLIPModel`: images and texts in one space.
//!
//! Source: transformers v5.23.0 `models/clip/modeling_clip.py` `CLIPModel`.

use std::path::Path;
use std::sync::Arc;

use tch::{Device, Kind, Tensor};

use super::ClipConfig;
use super::text::TextTransformer;
use super::vision::VisionTransformer;
use crate::checkpoint::Checkpoint;
use crate::error::Result;
use crate::nn::Linear;
use crate::training::Parameters;
use crate::weights::{self, LoadReport, Scope};

/// The dual encoder.
pub struct ClipModel {
    config: ClipConfig,
    text_model: TextTransformer,
    vision_model: VisionTransformer,
    text_projection: Linear,
    visual_projection: Linear,
    /// A scalar: the logarithm of the factor between cosines and logits.
    logit_scale: Tensor,
    device: Device,
    kind: Kind,
    checkpoint: Arc<Checkpoint>,
}

impl ClipModel {
    /// Loads `folder/config.json` and the checkpoint `model` beside it.
    pub fn load(
        folder: &Path,
        variant: Option<&str>,
        device: Device,
        kind: Kind,
    ) -> Result<(Self, LoadReport)> {
        let config = ClipConfig::from_file(&folder.join("config.json"))?;
        let checkpoint = Checkpoint::open(folder, "model", variant)?;
        weights::load("loading CLIP", checkpoint, device, kind, |at| Self::new(at, config))
    }

    /// The network in training, with float32 leaves; it computes in `kind`.
    pub(crate) fn in_training(config: ClipConfig, parameters: Parameters, kind: Kind) -> Result<Self> {
        let (device, checkpoint) = (parameters.device(), Checkpoint::in_training(parameters));
        let build = |at: &Scope| Self::new(at, config);
        weights::load("building CLIP", checkpoint, device, kind, build).map(|(network, _)| network)
    }

    fn new(at: &Scope, config: ClipConfig) -> Self {
        let (shared, text, vision) =
            (config.projection_dim, config.text.hidden_size, config.vision.hidden_size);
        Self {
            text_model: TextTransformer::new(&(at / "text_model"), config.text.clone()),
            vision_model: VisionTransformer::new(&(at / "vision_model"), config.vision.clone()),
            text_projection: Linear::new(&(at / "text_projection"), text, shared, false),
            visual_projection: Linear::new(&(at / "visual_projection"), vision, shared, false),
            logit_scale: at.get("logit_scale", &[]),
            device: at.device(),
            kind: at.kind(),
            config,
            checkpoint: at.checkpoint().clone(),
        }
    }

    /// The configuration that the network was built from.
    pub fn config(&self) -> &ClipConfig {
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

    /// `pixels [b, 3, image_size, image_size]`, preprocessed, to features `[b, projection_dim]`, not normalised.
    pub fn image_features(&self, pixels: &Tensor) -> Result<Tensor> {
        Ok(self.visual_projection.forward(&self.vision_model.forward(pixels)?))
    }

    /// `ids [b, n]` int64 to features `[b, projection_dim]`, not normalised.
    pub fn text_features(&self, ids: &Tensor) -> Result<Tensor> {
        let hidden = self.text_model.forward(ids, None)?;
        Ok(self.text_projection.forward(&self.text_model.pool(ids, &hidden)))
    }

    /// The logarithm of the factor that turns cosines into logits: a scalar that gradients pass through.
    pub(crate) fn log_scale(&self) -> &Tensor {
        &self.logit_scale
    }

    /// The learned factor that turns cosines into logits.
    pub fn logit_scale(&self) -> f64 {
        self.logit_scale.to_kind(Kind::Double).exp().double_value(&[])
    }
}

/// `features [.., d]` scaled to unit length along the last dimension, in float32; a zero vector stays zero.
pub fn normalize(features: &Tensor) -> Tensor {
    let features = features.to_kind(Kind::Float);
    let length = features.norm_scalaropt_dim(2.0, -1, true).clamp_min(f64::from(f32::MIN_POSITIVE));
    features / length
}

/// Cosines of all pairs: `a [n, d]` and `b [m, d]` to `[n, m]` float32.
pub fn cosine(a: &Tensor, b: &Tensor) -> Tensor {
    normalize(a).matmul(&normalize(b).transpose(0, 1))
}
