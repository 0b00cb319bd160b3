//! `CLIPTextModel`, with or without its projection: token ids to the embeddings that condition the UNet.
//!
//! Source: transformers v5.23.0 `models/clip/modeling_clip.py` `CLIPTextModel`, `CLIPTextModelWithProjection`.

use std::path::Path;
use std::sync::Arc;

use tch::{Device, Kind, Tensor};

use super::ClipTextConfig;
use super::encoder::Encoder;
use crate::checkpoint::Checkpoint;
use crate::error::{Error, Result};
use crate::nn::{Embedding, LayerNorm, Linear};
use crate::training::Parameters;
use crate::weights::{self, LoadReport, Scope};

/// The text encoder below any projection, shared by [`ClipText`] and the dual encoder.
pub(super) struct TextTransformer {
    config: ClipTextConfig,
    token_embedding: Embedding,
    position_embedding: Embedding,
    encoder: Encoder,
    final_layer_norm: LayerNorm,
    device: Device,
}

impl TextTransformer {
    pub(super) fn new(at: &Scope, config: ClipTextConfig) -> Self {
        let width = config.hidden_size;
        let embeddings = at / "embeddings";
        // A constant that older files carry.
        embeddings.ignore("position_ids");
        Self {
            token_embedding: Embedding::new(&(&embeddings / "token_embedding"), config.vocab_size, width),
            position_embedding: Embedding::new(
                &(&embeddings / "position_embedding"),
                config.max_position_embeddings,
                width,
            ),
            encoder: Encoder::new(&(at / "encoder"), &config.encoder),
            final_layer_norm: LayerNorm::new(
                &(at / "final_layer_norm"),
                width,
                config.encoder.layer_norm_eps,
            ),
            device: at.device(),
            config,
        }
    }

    /// `ids [b, n]` int64 to `[b, n, hidden_size]` after the final norm.
    ///
    /// `clip_skip` leaves that many of the last layers out.
    pub(super) fn forward(&self, ids: &Tensor, clip_skip: Option<i64>) -> Result<Tensor> {
        self.check(ids)?;
        let depth = self.encoder.len();
        let skipped = usize::try_from(clip_skip.unwrap_or(0)).ok().filter(|&skip| skip <= depth);
        let Some(skipped) = skipped else {
            return Err(Error::Parameter {
                name: "clip_skip",
                value: clip_skip.unwrap_or(0).to_string(),
                expected: format!("0 to {depth}, the text encoder's number of layers"),
            });
        };
        let ids = ids.to_device(self.device);
        let positions = self.position_embedding.first(ids.size()[1]);
        let x = self.token_embedding.forward(&ids) + positions;
        Ok(self.final_layer_norm.forward(&self.encoder.forward(x, true, depth - skipped)))
    }

    /// The rows of `hidden [b, n, hidden_size]` at the end of each text: `[b, hidden_size]`.
    ///
    /// The end is the first `eos_token_id`, or position 0 where there is none. Files from before the reference
    /// corrected the id say 2: then it is the highest id of the row.
    pub(super) fn pool(&self, ids: &Tensor, hidden: &Tensor) -> Tensor {
        let ids = ids.to_device(hidden.device());
        let ends = match self.config.eos_token_id {
            2 => ids.argmax(-1, true),
            eos => ids.eq(eos).to_kind(Kind::Int).argmax(-1, true),
        }; // [b, 1]
        let width = self.config.hidden_size;
        hidden.gather(1, &ends.unsqueeze(-1).expand([-1, -1, width], false), false).squeeze_dim(1)
    }

    /// LibTorch would abort the process on a GPU for an id out of range, so ids are looked at first.
    fn check(&self, ids: &Tensor) -> Result<()> {
        let refuse = |value: String, expected: String| Error::Parameter { name: "ids", value, expected };
        let (shape, longest) = (ids.size(), self.config.max_position_embeddings);
        let fits = matches!(shape[..], [b, n] if b > 0 && (1..=longest).contains(&n));
        if !fits || ids.kind() != Kind::Int64 {
            let expected = format!("int64 of the shape [batch, 1 to {longest} tokens]");
            return Err(refuse(format!("{:?} of the shape {shape:?}", ids.kind()), expected));
        }
        let (low, high) = (ids.min().int64_value(&[]), ids.max().int64_value(&[]));
        let vocabulary = self.config.vocab_size;
        if low < 0 || high >= vocabulary {
            let bad = if low < 0 { low } else { high };
            let expected =
                format!("token ids from 0 to {}: the tokenizer is not this model's", vocabulary - 1);
            return Err(refuse(bad.to_string(), expected));
        }
        Ok(())
    }
}

/// The text encoder of a Stable Diffusion model.
pub struct ClipText {
    model: TextTransformer,
    projection: Option<Linear>,
    kind: Kind,
    checkpoint: Arc<Checkpoint>,
}

impl ClipText {
    /// Loads `folder/config.json` and the checkpoint `model` beside it.
    ///
    /// Tensors are found below `text_model.`, as in published checkpoints, or without that prefix, as transformers 5
    /// saves them. A `text_projection` is loaded where there is one.
    pub fn load(
        folder: &Path,
        variant: Option<&str>,
        device: Device,
        kind: Kind,
    ) -> Result<(Self, LoadReport)> {
        let config = ClipTextConfig::from_file(&folder.join("config.json"))?;
        let checkpoint = Checkpoint::open(folder, "model", variant)?;
        weights::load("loading the text encoder", checkpoint, device, kind, |at| Self::new(at, config))
    }

    /// The network in training, with float32 leaves; it computes in `kind`.
    pub(crate) fn in_training(config: ClipTextConfig, parameters: Parameters, kind: Kind) -> Result<Self> {
        let (device, checkpoint) = (parameters.device(), Checkpoint::in_training(parameters));
        let build = |at: &Scope| Self::new(at, config);
        weights::load("building the text encoder", checkpoint, device, kind, build)
            .map(|(network, _)| network)
    }

    fn new(at: &Scope, config: ClipTextConfig) -> Self {
        let bare = at.has("embeddings.token_embedding.weight");
        let model = if bare { at.clone() } else { at / "text_model" };
        let projection = at.has("text_projection.weight").then(|| {
            Linear::new(&(at / "text_projection"), config.hidden_size, config.projection_dim, false)
        });
        Self {
            model: TextTransformer::new(&model, config),
            projection,
            kind: at.kind(),
            checkpoint: at.checkpoint().clone(),
        }
    }

    /// The configuration that the network was built from.
    pub fn config(&self) -> &ClipTextConfig {
        &self.model.config
    }

    /// The checkpoint that the weights came from.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// Device of the weights.
    pub fn device(&self) -> Device {
        self.model.device
    }

    /// Type of the weights and of the forward pass.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// `ids [b, n]` int64 to embeddings `[b, n, hidden_size]`, always after the final norm.
    ///
    /// `clip_skip` leaves that many of the last layers out, as diffusers v0.42.1
    /// `pipelines/stable_diffusion/pipeline_stable_diffusion.py` `encode_prompt` does.
    pub fn forward(&self, ids: &Tensor, clip_skip: Option<i64>) -> Result<Tensor> {
        self.model.forward(ids, clip_skip)
    }

    /// The embedding at the end of each text: `ids [b, n]` to `[b, hidden_size]`.
    pub fn pooled(&self, ids: &Tensor) -> Result<Tensor> {
        Ok(self.model.pool(ids, &self.model.forward(ids, None)?))
    }

    /// The projected, pooled embedding: `ids [b, n]` to `[b, projection_dim]`; an error without a projection.
    pub fn text_embeds(&self, ids: &Tensor) -> Result<Tensor> {
        let projection = self.projection.as_ref().ok_or_else(|| Error::ModelIncomplete {
            folder: self.checkpoint.folder().to_owned(),
            what: "tensor `text_projection.weight`".into(),
            hint: "use a text encoder that was saved with its projection".into(),
        })?;
        Ok(projection.forward(&self.pooled(ids)?))
    }
}
