//! The stages of the two denoisers. Each is trained together with its text encoder.

use std::cell::RefCell;

use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use tch::Tensor;

use super::autoencoder::STEM;
use super::spatial::Layer;
use super::tokenizer::sized;
use super::{Outcome, StageName, Training, Watch};
use crate::checkpoint::Checkpoint;
use crate::models::clip::{ClipText, ClipTextConfig};
use crate::models::unet::{UNet, UNetConfig};
use crate::samplers::{NoiseTable, SamplerConfig};
use crate::tokenizer::Tokenizer;
use crate::training::error::Result;
use crate::training::latents::{Latents, Side};
use crate::training::objective::{Denoised, Dropped, Target, denoiser};
use crate::training::recipe::DenoiserRecipe;
use crate::training::run::{Losses, Run};
use crate::training::{Draws, Parameters};

const UNET: &str = "unet";
const TEXT: &str = "text_encoder";
/// The spatial layer's part.
pub(super) const SPATIAL: &str = "spatial";
/// The checkpoint's name of a text encoder.
const TEXT_STEM: &str = "model";

/// Everything that a step of a denoiser needs.
struct Step<'a> {
    editing: bool,
    recipe: &'a DenoiserRecipe,
    seed: u64,
    scale: f64,
    target: Target,
    table: NoiseTable,
    latents: Latents,
    tokenizer: Tokenizer,
    unet: UNet,
    text_encoder: ClipText,
    /// The spatial layer, where it is what is trained.
    spatial: Option<Layer>,
    epoch: RefCell<Epoch>,
}

/// One row of a batch.
struct Row<'a> {
    pair: i64,
    side: Side,
    text: &'a str,
    dropped: Dropped,
}

/// The folder of a network of a stage.
fn part(stage: StageName, network: &str) -> String {
    format!("{}/{network}", stage.name())
}

impl Training {
    /// Trains a denoiser with its text encoder, or the spatial layer of the editor as it is.
    pub(super) fn train_denoiser(
        &self,
        stage: StageName,
        recipe: &DenoiserRecipe,
        watch: &mut Watch<'_>,
    ) -> Result<Outcome> {
        let step = self.denoiser_step(stage, recipe)?;
        let trained = match &step.spatial {
            Some(layer) => vec![(SPATIAL, layer.checkpoint(), SPATIAL.to_owned(), STEM)],
            None => vec![
                (UNET, step.unet.checkpoint(), part(stage, UNET), STEM),
                (TEXT, step.text_encoder.checkpoint(), part(stage, TEXT), TEXT_STEM),
            ],
        };
        let networks: Vec<(&str, &Parameters)> = trained
            .iter()
            .map(|(name, checkpoint, ..)| (*name, checkpoint.trained().expect("a network in training")))
            .collect();
        let folder = self.layout.stage(stage.name());
        let mut run = Run::open(&folder, recipe.training, step.seed, &networks, self.options.device)?;
        let outcome = Self::drive(stage, &mut run, watch, |run| step.losses(run))?;
        if outcome == Outcome::Done {
            for (name, _, part, stem) in &trained {
                self.write_weights(part, stem, &run.flat().averages(name))?;
            }
        }
        Ok(outcome)
    }

    fn denoiser_step<'a>(&'a self, stage: StageName, recipe: &'a DenoiserRecipe) -> Result<Step<'a>> {
        let (device, kind, seed) = (self.options.device, self.options.kind, self.seed(stage));
        let tokenizer = self.tokenizer()?;
        let vae = self.vae()?;
        let (scale, channels) = (vae.config().scaling_factor, vae.config().latent_channels);
        drop(vae);
        // The layer is trained on the editor's networks, which stay as they are.
        let own = if stage == StageName::Spatial { StageName::Editor } else { stage };
        let text_config = sized(&self.recipe.text_encoder, &tokenizer)?;
        let text_config = ClipTextConfig::from_file(&self.write_config(&part(own, TEXT), &text_config)?)?;
        let mut unet_config = self.recipe.unet.clone();
        if own == StageName::Editor {
            unet_config.insert("in_channels".into(), json!(2 * channels));
        }
        let unet_config = UNetConfig::from_file(&self.write_config(&part(own, UNET), &unet_config)?)?;
        let begin = |from: StageName, name: &str, stem: &str| -> Result<Parameters> {
            let checkpoint = Checkpoint::open(&self.layout.part(&part(from, name)), stem, None)?;
            Ok(Parameters::from_checkpoint(&checkpoint, seed, device, stage != StageName::Spatial))
        };
        let (unet, text) = match stage {
            StageName::Editor => {
                let unet = begin(StageName::TextToImage, UNET, STEM)?;
                unet.widen_inputs("conv_in.weight", unet_config.in_channels);
                (unet, begin(StageName::TextToImage, TEXT, TEXT_STEM)?)
            }
            StageName::Spatial => (begin(own, UNET, STEM)?, begin(own, TEXT, TEXT_STEM)?),
            _ => (Parameters::new(seed, device, true), Parameters::new(seed, device, true)),
        };
        let spatial = match &self.recipe.spatial {
            Some(recipe) if stage == StageName::Spatial => {
                let path = self.write_config(SPATIAL, &recipe.config)?;
                Some(Layer::new(
                    &path,
                    Parameters::new(seed, device, true),
                    kind,
                    &unet_config,
                    self.recipe.size,
                )?)
            }
            _ => None,
        };
        Ok(Step {
            editing: own == StageName::Editor,
            recipe,
            seed,
            scale,
            target: self.recipe.target(),
            table: NoiseTable::new(&self.sampler_config()?, device)?,
            latents: self.latents()?,
            tokenizer,
            unet: UNet::in_training(unet_config, unet, kind)?,
            text_encoder: ClipText::in_training(text_config, text, kind)?,
            spatial,
            epoch: RefCell::default(),
        })
    }

    fn sampler_config(&self) -> Result<SamplerConfig> {
        Ok(SamplerConfig::from_json(&Value::Object(self.recipe.scheduler.clone()).to_string())?)
    }
}

impl Step<'_> {
    fn losses(&self, run: &Run) -> Result<Losses> {
        let mut draws = run.draws();
        let rows = self.rows(run.step(), &mut draws);
        let device = self.unet.device();
        let b = rows.len() as i64;
        let timesteps: Vec<i64> =
            rows.iter().map(|_| draws.rng.random_range(0..self.table.timesteps())).collect();
        let timesteps = Tensor::from_slice(&timesteps).to_device(device);
        let (latents, image, unchanged) = tch::no_grad(|| self.images(&rows, &mut draws));
        let (_, c, h, w) = crate::nn::dims4(&latents);
        let noise = draws.normal.next(&[b, c, h, w]).to_device(device);
        drop(draws);
        let ids = Training::ids(&self.tokenizer, rows.iter().map(|row| row.text))?;
        let text = self.text_encoder.forward(&ids, None)?;
        let spatial = match (&self.spatial, &image) {
            (Some(layer), Some(image)) => {
                let texts = rows.iter().map(|row| (!row.dropped.text).then_some(row.text));
                Some(layer.batch(texts, image, &self.tokenizer, &self.text_encoder)?)
            }
            _ => None,
        };
        let batch = Denoised {
            latents: &latents,
            image: image.as_ref(),
            unchanged: unchanged.as_ref(),
            text: &self.unet.text_kv(&text),
            spatial: self.spatial.as_ref().map(Layer::network).zip(spatial.as_ref()),
            timesteps: &timesteps,
            noise: &noise,
        };
        Ok(denoiser(&self.unet, &self.table, self.target, &batch, &self.recipe.loss)?)
    }

    /// The pairs of a step: every pair once before any comes again, in an order of the epoch's own.
    fn rows(&self, step: u64, draws: &mut Draws) -> Vec<Row<'_>> {
        let (batch, pairs) = (self.recipe.training.batch, self.latents.len() as u64);
        let mut order = self.epoch.borrow_mut();
        let row = |i: u64| {
            let place = step * batch + i;
            let pair = order.at(self.seed, place / pairs, (place % pairs) as usize, pairs as usize);
            let texts = self.latents.texts(pair);
            let side = if self.editing || draws.rng.random() { Side::After } else { Side::Before };
            let text = match (self.editing, side) {
                (true, _) => &texts.instruction,
                (false, Side::Before) => &texts.before,
                (false, Side::After) => &texts.after,
            };
            let dropped = if self.editing {
                self.recipe.dropout.draw(&mut draws.rng)
            } else {
                Dropped { text: draws.rng.random_bool(self.recipe.dropout.0), image: false }
            };
            Row { pair: pair as i64, side, text: if dropped.text { "" } else { text }, dropped }
        };
        (0..batch).map(row).collect()
    }

    /// The latents to learn (scaled), the input image's with dropped ones zero (unscaled), and undropped (scaled).
    fn images(&self, rows: &[Row], draws: &mut Draws) -> (Tensor, Option<Tensor>, Option<Tensor>) {
        let device = self.unet.device();
        let pairs: Vec<i64> = rows.iter().map(|row| row.pair).collect();
        let index = Tensor::from_slice(&pairs).to_device(device);
        let [before, after] = [Side::Before, Side::After].map(|side| self.latents.posterior(side, &index));
        let mask = |of: &dyn Fn(&Row) -> bool| {
            let values: Vec<f32> = rows.iter().map(|row| if of(row) { 1.0 } else { 0.0 }).collect();
            Tensor::from_slice(&values).view([-1, 1, 1, 1]).to_device(device)
        };
        let noise = draws.normal.next(&before.mean.size());
        let sampled = after.sample(&noise);
        if self.editing {
            let kept = mask(&|row| !row.dropped.image);
            return (sampled * self.scale, Some(&before.mean * kept), Some(before.mean * self.scale));
        }
        let is_after = mask(&|row| row.side == Side::After);
        let latents = &sampled * &is_after + before.sample(&noise) * (1.0 - is_after);
        (latents * self.scale, None, None)
    }
}

/// The order of one epoch, made when it is first asked for.
#[derive(Default)]
struct Epoch {
    number: u64,
    order: Vec<usize>,
}

impl Epoch {
    fn at(&mut self, seed: u64, number: u64, place: usize, pairs: usize) -> usize {
        if self.order.is_empty() || self.number != number {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            // Steps have the streams below.
            rng.set_stream(u64::MAX - number);
            self.order = (0..pairs).collect();
            self.order.shuffle(&mut rng);
            self.number = number;
        }
        self.order[place]
    }
}
