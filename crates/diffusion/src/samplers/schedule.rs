//! The noise schedule that a model is trained with: betas and ᾱ, and noising for training.

use tch::{Device, Kind, TchError, Tensor};

use super::ops::{Level, roots};
use super::settings::{BetaSchedule, Settings};
use super::{SamplerConfig, SamplerError, SamplerKind, SamplerOptions};

/// ᾱ of every training timestep, in diffusers' float32 arithmetic.
///
/// diffusers v0.42.1 `src/diffusers/schedulers/scheduling_ddim.py`, `__init__`, `betas_for_alpha_bar` and
/// `rescale_zero_terminal_snr`.
pub(super) fn alphas_cumprod(settings: &Settings) -> Result<Vec<f32>, SamplerError> {
    let mut betas = betas(settings).map_err(SamplerError::tensor("the beta schedule"))?;
    if settings.zero_snr {
        betas = rescale_zero_terminal_snr(&betas)
            .map_err(SamplerError::tensor("the rescaling of the beta schedule"))?;
    }
    let mut products = cumulative_product(&betas);
    let in_sigmas = matches!(
        settings.kind,
        SamplerKind::Euler | SamplerKind::EulerAncestral | SamplerKind::DpmSolverMultistep
    );
    if settings.zero_snr && in_sigmas {
        // float16's smallest subnormal: σ of the last timestep is 4096 and not infinite.
        *products.last_mut().expect("there is at least one training timestep") = 2f32.powi(-24);
    }
    if products.iter().any(|a| !a.is_finite()) {
        let reason =
            "the cumulative product of 1 - beta is not finite; check the betas and `rescale_betas_zero_snr`";
        return Err(SamplerError::DegenerateSchedule { sampler: settings.kind, reason });
    }
    Ok(products)
}

fn betas(settings: &Settings) -> Result<Vec<f32>, TchError> {
    if let Some(betas) = &settings.trained_betas {
        return Ok(betas.clone());
    }
    let (start, end) = (settings.beta_start, settings.beta_end);
    // torch's own linspace, whose float32 rounding differs from a plain loop's.
    let linspace = |start: f64, end: f64| -> Result<Vec<f32>, TchError> {
        let steps = i64::try_from(settings.num_train_timesteps).expect("the number of timesteps is capped");
        Vec::try_from(&Tensor::f_linspace(start, end, steps, (Kind::Float, Device::Cpu))?)
    };
    match settings.beta_schedule {
        BetaSchedule::Linear => linspace(start, end),
        BetaSchedule::ScaledLinear => {
            Ok(linspace(start.sqrt(), end.sqrt())?.into_iter().map(|b| b * b).collect())
        }
        BetaSchedule::SquaredCosine => Ok(squared_cosine(settings.num_train_timesteps)),
    }
}

fn squared_cosine(steps: usize) -> Vec<f32> {
    let alpha_bar = |t: f64| ((t + 0.008) / 1.008 * std::f64::consts::PI / 2.0).cos().powi(2);
    let beta = |i: usize| {
        let (t1, t2) = (i as f64 / steps as f64, (i + 1) as f64 / steps as f64);
        (1.0 - alpha_bar(t2) / alpha_bar(t1)).min(0.999)
    };
    (0..steps).map(|i| beta(i) as f32).collect()
}

/// torch's CPU `cumprod` of 1 - beta: the running product is float64, each result float32.
fn cumulative_product(betas: &[f32]) -> Vec<f32> {
    let product = |acc: &mut f64, beta: &f32| {
        *acc *= f64::from(1.0 - beta);
        Some(*acc as f32)
    };
    betas.iter().scan(1.0, product).collect()
}

/// Algorithm 1 of arXiv 2305.08891: √ᾱ shifted and scaled so that it ends at 0 and starts where it did.
fn rescale_zero_terminal_snr(betas: &[f32]) -> Result<Vec<f32>, TchError> {
    let roots = roots(&cumulative_product(betas))?;
    let (first, last) = (roots[0], roots[roots.len() - 1]);
    let factor = first / (first - last);
    let bars: Vec<f32> = roots.iter().map(|root| ((root - last) * factor).powi(2)).collect();
    let before = std::iter::once(1.0).chain(bars.iter().copied());
    Ok(bars.iter().zip(before).map(|(bar, before)| 1.0 - bar / before).collect())
}

/// Noising and velocity for training: √ᾱ and √(1-ᾱ) as tables on the training device.
#[derive(Debug)]
pub struct NoiseTable {
    signal: Tensor,
    noise: Tensor,
}

impl NoiseTable {
    /// The tables of a config on a device.
    ///
    /// # Errors
    /// A config that has no usable noise schedule.
    pub fn new(config: &SamplerConfig, device: Device) -> Result<Self, SamplerError> {
        let options = SamplerOptions { kind: Some(SamplerKind::Ddpm), ..SamplerOptions::default() };
        let alphas = alphas_cumprod(&Settings::resolve(config, &options)?)?;
        let build = || {
            let levels = Level::all(&alphas)?;
            let table = |part: fn(&Level) -> f32| {
                let values: Vec<f32> = levels.iter().map(part).collect();
                Tensor::from_slice(&values).f_to_device(device)
            };
            Ok(Self { signal: table(|level| level.signal)?, noise: table(|level| level.noise)? })
        };
        build().map_err(SamplerError::tensor("the noise table"))
    }

    /// √ᾱ_t·x0 + √(1-ᾱ_t)·noise, for `x0` and `noise` `[b, ..]` and whole timesteps `t` `[b]` on the table's
    /// device. On CUDA a timestep outside the schedule is an assertion that ends the process: draw `t` below
    /// `num_train_timesteps`.
    ///
    /// diffusers v0.42.1 `src/diffusers/schedulers/scheduling_ddpm.py`, `DDPMScheduler.add_noise`.
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn add_noise(&self, x0: &Tensor, noise: &Tensor, t: &Tensor) -> Result<Tensor, SamplerError> {
        self.mix(t, (x0, noise), Tensor::f_add).map_err(SamplerError::tensor("add_noise"))
    }

    /// √ᾱ_t·noise - √(1-ᾱ_t)·x0, the target of v-prediction; shapes as in [`Self::add_noise`].
    ///
    /// diffusers v0.42.1 `src/diffusers/schedulers/scheduling_ddpm.py`, `DDPMScheduler.get_velocity`.
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn velocity(&self, x0: &Tensor, noise: &Tensor, t: &Tensor) -> Result<Tensor, SamplerError> {
        self.mix(t, (noise, x0), Tensor::f_sub).map_err(SamplerError::tensor("velocity"))
    }

    /// Timesteps of the schedule.
    pub fn timesteps(&self) -> i64 {
        self.signal.size()[0]
    }

    /// ᾱ_t/(1-ᾱ_t) of whole timesteps `t` `[b]` on the table's device: `[b]`.
    ///
    /// # Errors
    /// A shape that does not fit.
    pub fn signal_to_noise(&self, t: &Tensor) -> Result<Tensor, SamplerError> {
        let ratio = || {
            let at = |table: &Tensor| table.f_index_select(0, t);
            at(&self.signal)?.f_div(&at(&self.noise)?)?.f_square()
        };
        ratio().map_err(SamplerError::tensor("the signal-to-noise ratio"))
    }

    /// Joins √ᾱ_t·first and √(1-ᾱ_t)·second.
    fn mix(
        &self,
        t: &Tensor,
        (first, second): (&Tensor, &Tensor),
        join: fn(&Tensor, &Tensor) -> Result<Tensor, TchError>,
    ) -> Result<Tensor, TchError> {
        let mut shape = vec![1; first.dim()];
        if let Some(rows) = shape.first_mut() {
            *rows = -1;
        }
        let at = |table: &Tensor| table.f_index_select(0, t)?.f_reshape(shape.as_slice());
        join(&at(&self.signal)?.f_mul(first)?, &at(&self.noise)?.f_mul(second)?)
    }
}
