//! What a model family is made of and how long each part is trained: one TOML file.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::error::{Result, TrainingError};
use super::objective::{AutoencoderLoss, DenoiserLoss, Dropout, Target};
use super::run::Stage;

/// Largest seed of a recipe: scenes are numbered from `seed`·2³² on, and those from 2⁶² on are for evaluation.
const MAX_SEED: u64 = (1 << 30) - 1;

/// A recipe. The tables of networks hold the fields of their `config.json`, as they are written into the model folder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Name of the model.
    pub name: String,
    /// Seed of weights, data and noise; below 2³⁰.
    pub seed: u64,
    /// Side of the images in pixels.
    pub size: u32,
    /// The tokenizer.
    pub tokenizer: TokenizerRecipe,
    /// `scheduler/scheduler_config.json`; its `prediction_type` is what denoisers are trained to predict.
    pub scheduler: Map<String, Value>,
    /// `text_encoder/config.json`. Sizes that the tokenizer decides are filled in.
    pub text_encoder: Map<String, Value>,
    /// The autoencoder.
    pub vae: VaeRecipe,
    /// The latents that denoisers learn from.
    pub latents: LatentsRecipe,
    /// `unet/config.json` of the text-to-image model; the editor's has twice the input channels.
    pub unet: Map<String, Value>,
    /// The text-to-image model.
    pub text_to_image: DenoiserRecipe,
    /// The editor, which begins as the text-to-image model.
    pub editor: DenoiserRecipe,
    /// The editor's spatial layer, where one is wanted; everything else stays as it is while it is trained.
    pub spatial: Option<SpatialRecipe>,
    /// The dual encoder, where one is wanted.
    pub clip: Option<ClipRecipe>,
}

/// How the tokenizer is learned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenizerRecipe {
    /// Most tokens.
    pub vocabulary: usize,
    /// Ids of a text, begin and end included.
    pub length: usize,
    /// Examples whose texts the merges are learned from.
    pub examples: u64,
}

/// The autoencoder and its training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VaeRecipe {
    /// `vae/config.json`; `scaling_factor` is measured after the training.
    pub config: Map<String, Value>,
    /// Pixels a side of what is cut out of each image, anywhere; whole images if absent.
    pub crop: Option<u32>,
    /// Its loss.
    #[serde(default)]
    pub loss: AutoencoderLoss,
    /// Its training.
    pub training: Stage,
}

/// How many pairs are rendered and encoded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LatentsRecipe {
    /// Pairs.
    pub pairs: u64,
}

/// The training of a denoiser, its text encoder trained with it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DenoiserRecipe {
    /// Share of rows without text; of an editor's also without image, and without both.
    pub dropout: Dropout,
    /// Its loss.
    #[serde(default)]
    pub loss: DenoiserLoss,
    /// Its training.
    pub training: Stage,
}

/// The spatial layer and its training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpatialRecipe {
    /// `spatial/config.json`.
    pub config: Map<String, Value>,
    /// As the editor's.
    pub dropout: Dropout,
    /// As the editor's.
    #[serde(default)]
    pub loss: DenoiserLoss,
    /// Its training.
    pub training: Stage,
}

impl SpatialRecipe {
    /// What it has in common with the denoisers.
    pub(super) fn denoiser(&self) -> DenoiserRecipe {
        DenoiserRecipe { dropout: self.dropout, loss: self.loss, training: self.training }
    }
}

/// The dual encoder and its training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClipRecipe {
    /// `clip/config.json`. Sizes that the tokenizer decides are filled in.
    pub config: Map<String, Value>,
    /// Its training.
    pub training: Stage,
}

impl Recipe {
    /// Reads a recipe; an unknown field or a value out of range is an error that names it.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|e| TrainingError::read(path, e))?;
        let bad = |reason: String| TrainingError::Recipe { path: path.to_owned(), reason };
        let recipe: Self = toml::from_str(&text).map_err(|e| bad(e.to_string().trim_end().to_owned()))?;
        recipe.check().map_err(bad)?;
        Ok(recipe)
    }

    fn check(&self) -> Result<(), String> {
        if self.seed > MAX_SEED {
            return Err(format!("seed is {}: use 0 to {MAX_SEED}", self.seed));
        }
        if !(16..=1024).contains(&self.size) || self.latents.pairs == 0 || self.tokenizer.examples == 0 {
            return Err("size is 16 to 1024 pixels; latents.pairs and tokenizer.examples at least 1".into());
        }
        let denoisers = self.denoisers();
        check_stage("vae", &self.vae.training)?;
        denoisers.iter().try_for_each(|(name, denoiser)| check_stage(name, &denoiser.training))?;
        self.clip.iter().try_for_each(|clip| check_stage("clip", &clip.training))?;
        check_loss("vae", &[self.vae.loss.edges, self.vae.loss.divergence])?;
        for (name, DenoiserRecipe { dropout: Dropout(share), loss, .. }) in &denoisers {
            check_loss(name, &[loss.snr_cap, loss.changed])?;
            if !(0.0..=1.0 / 3.0).contains(share) {
                return Err(format!("{name}.dropout is {share}: use 0 to a third"));
            }
        }
        self.check_fit()
    }

    /// What is trained as a denoiser, by its table.
    fn denoisers(&self) -> Vec<(&'static str, DenoiserRecipe)> {
        let spatial = self.spatial.as_ref().map(|spatial| ("spatial", spatial.denoiser()));
        let all = [("text_to_image", self.text_to_image.clone()), ("editor", self.editor.clone())];
        all.into_iter().chain(spatial).collect()
    }

    /// Refuses parts that do not fit each other: known now, not after hours.
    fn check_fit(&self) -> Result<(), String> {
        let number = |table: &Map<String, Value>, field: &str, default: i64| {
            table.get(field).map_or(Some(default), Value::as_i64)
        };
        let levels = |table: &Map<String, Value>| {
            table.get("block_out_channels").and_then(Value::as_array).map_or(1, Vec::len).min(8) as u32
        };
        let (vae, unet) = (&self.vae.config, &self.unet);
        let multiple = 1 << (levels(vae) - 1 + levels(unet) - 1);
        if !self.size.is_multiple_of(multiple) {
            return Err(format!(
                "size is {}: use a multiple of {multiple}, which vae and unet divide",
                self.size
            ));
        }
        let factor = 1 << (levels(vae) - 1);
        if let Some(crop) = self.vae.crop
            && (crop == 0 || crop > self.size || !crop.is_multiple_of(factor))
        {
            return Err(format!("vae.crop is {crop}: use a multiple of {factor}, at most {}", self.size));
        }
        let latent = number(vae, "latent_channels", 4);
        for field in ["in_channels", "out_channels"] {
            if number(unet, field, 4) != latent {
                return Err(format!("unet.{field} is not the number of vae.config.latent_channels"));
            }
        }
        if number(unet, "cross_attention_dim", 1280) != number(&self.text_encoder, "hidden_size", 512) {
            return Err("unet.cross_attention_dim is not text_encoder.hidden_size".into());
        }
        let named = self.scheduler.get("prediction_type").cloned().unwrap_or("epsilon".into());
        let Ok(target) = serde_json::from_value::<Target>(named.clone()) else {
            return Err(format!("scheduler.prediction_type is {named}: use \"epsilon\" or \"v_prediction\""));
        };
        let no_signal = self.scheduler.get("rescale_betas_zero_snr") == Some(&Value::Bool(true));
        if no_signal && target == Target::Epsilon {
            let why = "noise tells nothing of the image where no signal is left";
            return Err(format!(
                "scheduler.rescale_betas_zero_snr needs prediction_type \"v_prediction\": {why}"
            ));
        }
        Ok(())
    }

    /// What the denoisers are trained to predict.
    pub(super) fn target(&self) -> Target {
        let named = self.scheduler.get("prediction_type").cloned().unwrap_or(Value::Null);
        serde_json::from_value(named).unwrap_or(Target::Epsilon)
    }
}

fn check_stage(name: &str, stage: &Stage) -> Result<(), String> {
    if stage.steps == 0 || stage.batch == 0 {
        return Err(format!("{name}.training: steps and batch are at least 1"));
    }
    let o = &stage.optimizer;
    let share = |x: f64| (0.0..1.0).contains(&x);
    let positive = [o.learning_rate, o.clip_norm, o.epsilon].into_iter().all(|x| x > 0.0);
    if !positive || ![o.beta1, o.beta2, o.average_decay].into_iter().all(share) {
        let what = "learning_rate, clip_norm and epsilon are above 0; beta1, beta2, average_decay in 0..1";
        return Err(format!("{name}.training.optimizer: {what}"));
    }
    Ok(())
}

fn check_loss(name: &str, weights: &[f64]) -> Result<(), String> {
    let usable = weights.iter().all(|weight| weight.is_finite() && *weight >= 0.0);
    if usable { Ok(()) } else { Err(format!("{name}.loss: its numbers are finite, 0 and above")) }
}

/// What a training leaves where.
pub(super) struct Layout(pub(super) PathBuf);

impl Layout {
    /// The recipe that the folder was begun with.
    pub(super) fn recipe(&self) -> PathBuf {
        self.0.join("recipe.json")
    }

    /// States and metrics of a stage.
    pub(super) fn stage(&self, name: &str) -> PathBuf {
        self.0.join("stages").join(name)
    }

    /// Encoded pairs.
    pub(super) fn latents(&self) -> PathBuf {
        self.0.join("latents")
    }

    /// The finished parts, as float32, in the folders that a model has.
    pub(super) fn part(&self, name: &str) -> PathBuf {
        self.0.join("parts").join(name)
    }
}
