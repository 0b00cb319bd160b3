//! The autoencoder's stage.

use rand::Rng;
use tch::{Device, Kind, Tensor};

use super::{Outcome, StageName, Training, Watch};
use crate::models::vae::{Vae, VaeConfig};
use crate::nn::dims4;
use crate::training::Parameters;
use crate::training::error::Result;
use crate::training::examples::{Ahead, Picture};
use crate::training::latents::stack;
use crate::training::objective::autoencoder;
use crate::training::run::Run;

/// Name of the part.
pub(super) const PART: &str = "vae";
/// Its checkpoint's name.
pub(super) const STEM: &str = "diffusion_pytorch_model";
/// Logarithm of a latent's variance before training: a deviation of 5 %.
const FIRST_LOG_VARIANCE: f64 = -6.0;

impl Training {
    pub(super) fn train_vae(&self, watch: &mut Watch<'_>) -> Result<Outcome> {
        let recipe = &self.recipe.vae;
        let config = VaeConfig::from_file(&self.write_config(PART, &recipe.config)?)?;
        let seed = self.seed(StageName::Vae);
        let crop = i64::from(recipe.crop.unwrap_or(self.recipe.size));
        let (latent, side) = (config.latent_channels, crop / config.factor());
        let parameters = Parameters::new(seed, self.options.device, true);
        parameters.insert("quant_conv.bias", &first_moments(latent));
        let vae = Vae::in_training(config, parameters, self.options.kind)?;
        let networks = [(PART, vae.checkpoint().trained().expect("a network in training"))];
        let folder = self.layout.stage(StageName::Vae.name());
        let mut run = Run::open(&folder, recipe.training, seed, &networks, self.options.device)?;

        // Two images an example.
        let examples = recipe.training.batch.div_ceil(2);
        let range = run.step() * examples..recipe.training.steps * examples;
        let mut ahead = Ahead::new(&self.examples, range, self.options.example_threads);
        let outcome = Self::drive(StageName::Vae, &mut run, watch, |run| {
            let mut pictures: Vec<Picture> = Vec::new();
            for _ in 0..examples {
                let Some(example) = ahead.next()? else { break };
                pictures.extend([example.before, example.after]);
            }
            let mut draws = run.draws();
            let images = cut(&stack(pictures.iter()), crop, &mut draws.rng);
            let noise = draws.normal.next(&[pictures.len() as i64, latent, side, side]);
            Ok(autoencoder(&vae, &images, &noise, &recipe.loss))
        })?;
        if outcome == Outcome::Done {
            self.write_weights(PART, STEM, &run.flat().averages(PART))?;
        }
        Ok(outcome)
    }

    /// The trained autoencoder, as it will be used.
    pub(super) fn vae(&self) -> Result<Vae> {
        let (vae, _) = Vae::load(&self.layout.part(PART), None, self.options.device, Kind::Float)?;
        Ok(vae)
    }
}

/// A square of `side` out of each of `images [b, 3, h, w]`, wherever it may lie.
fn cut(images: &Tensor, side: i64, rng: &mut impl Rng) -> Tensor {
    let (images_in_all, _, height, width) = dims4(images);
    let mut one = |i: i64| {
        let (top, left) = (rng.random_range(0..=height - side), rng.random_range(0..=width - side));
        images.get(i).narrow(1, top, side).narrow(2, left, side)
    };
    Tensor::stack(&(0..images_in_all).map(&mut one).collect::<Vec<_>>(), 0)
}

/// The bias of means and log-variances `[2·C]` before training. A posterior as wide as the prior would hide its mean,
/// and the decoder would learn from noise for hundreds of steps.
fn first_moments(latent: i64) -> Tensor {
    let options = (Kind::Float, Device::Cpu);
    Tensor::cat(&[Tensor::zeros([latent], options), Tensor::full([latent], FIRST_LOG_VARIANCE, options)], 0)
}
