//! The spatial layer in training: what it is told of a batch's instructions.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::Path;

use tch::{Kind, Tensor};

use super::Training;
use crate::checkpoint::Checkpoint;
use crate::models::clip::ClipText;
use crate::models::spatial::{Spatial, SpatialBatch, SpatialConfig, SpatialPlan, TOKENS};
use crate::models::unet::UNetConfig;
use crate::tokenizer::Tokenizer;
use crate::training::Parameters;
use crate::training::error::Result;

/// The layer, and the embeddings of phrases: their text encoder does not change.
pub(super) struct Layer {
    network: Spatial,
    phrases: RefCell<HashMap<String, Tensor>>,
    /// Side of the images in pixels.
    size: u32,
}

impl Layer {
    /// A layer of the configuration at `path` for a network of the form `unet`.
    pub(super) fn new(
        path: &Path,
        parameters: Parameters,
        kind: Kind,
        unet: &UNetConfig,
        size: u32,
    ) -> Result<Self> {
        let network = Spatial::in_training(SpatialConfig::from_file(path)?, parameters, kind, unet)?;
        Ok(Self { network, phrases: RefCell::default(), size })
    }

    pub(super) fn network(&self) -> &Spatial {
        &self.network
    }

    pub(super) fn checkpoint(&self) -> &Checkpoint {
        self.network.checkpoint()
    }

    /// The layer's input for instructions (`None` where the text is dropped) and `source [b, C, h, w]`, the image latents
    /// as the UNet is conditioned on them.
    ///
    /// From the words alone, as at inference: nothing tells where a thing is.
    pub(super) fn batch<'a>(
        &self,
        texts: impl Iterator<Item = Option<&'a str>>,
        source: &Tensor,
        tokenizer: &Tokenizer,
        text_encoder: &ClipText,
    ) -> Result<SpatialBatch> {
        let size = (self.size, self.size);
        let plan = |text: &str| SpatialPlan::new(&retouch_instruction::parse(text).intents, None, size);
        let plans: Vec<Option<SpatialPlan>> = texts.map(|text| text.map(plan)).collect();
        let width = text_encoder.config().hidden_size;
        let none = || Tensor::zeros([1, width], (Kind::Float, text_encoder.device()));
        let mut phrases = Vec::with_capacity(plans.len() * TOKENS);
        for plan in &plans {
            let start = phrases.len();
            phrases.resize_with(start + TOKENS, none);
            for (i, phrase) in plan.iter().flat_map(SpatialPlan::phrases) {
                phrases[start + i] = self.pooled(phrase, tokenizer, text_encoder)?;
            }
        }
        let phrases = Tensor::cat(&phrases, 0).view([plans.len() as i64, TOKENS as i64, width]);
        let plans: Vec<Option<&SpatialPlan>> = plans.iter().map(Option::as_ref).collect();
        Ok(self.network.batch(&plans, &phrases, source))
    }

    /// `[1, width]` float32.
    fn pooled(&self, phrase: &str, tokenizer: &Tokenizer, text_encoder: &ClipText) -> Result<Tensor> {
        if let Some(known) = self.phrases.borrow().get(phrase) {
            return Ok(known.shallow_clone());
        }
        let ids = Training::ids(tokenizer, std::iter::once(phrase))?;
        let pooled = tch::no_grad(|| text_encoder.pooled(&ids))?.to_kind(Kind::Float);
        self.phrases.borrow_mut().insert(phrase.to_owned(), pooled.shallow_clone());
        Ok(pooled)
    }
}
