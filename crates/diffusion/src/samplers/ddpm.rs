//! Ancestral sampling of the training process (DDPM).

use tch::{TchError, Tensor};

use super::ops::{Level, roots, times};
use super::plan::{Inputs, Plan};
use super::settings::{Clip, Prediction, Settings, Variance};
use super::{SamplerError, spacing};

/// x' = c0·x0 + ct·x + σ·noise.
pub(super) struct Ddpm {
    prediction: Prediction,
    clip: Clip,
    steps: Vec<Step>,
}

#[derive(Clone, Copy)]
struct Step {
    level: Level,
    x0: f32,
    sample: f32,
    sigma: f32,
}

/// diffusers v0.42.1 `src/diffusers/schedulers/scheduling_ddpm.py`, `set_timesteps`, `_get_variance` and
/// `step`.
pub(super) fn plan(settings: &Settings, alphas: &[f32], steps: usize) -> Result<Plan<Ddpm>, SamplerError> {
    let timesteps = spacing::whole(settings, steps);
    spacing::check_range(settings.kind, &timesteps, alphas.len())?;
    let alphas: Vec<f32> = timesteps.iter().map(|&t| alphas[t as usize]).collect();
    let steps =
        coefficients(settings.variance, &alphas).map_err(SamplerError::tensor("the coefficients of DDPM"))?;
    let method = Ddpm { prediction: settings.prediction, clip: settings.clip, steps };
    // At timestep 0 there is nothing left to add.
    let noise: Vec<bool> = timesteps.iter().map(|&t| t > 0).collect();
    let usable = method.steps.iter().zip(&noise).map(|(step, &noisy)| {
        step.level.is_usable(settings.prediction, false)
            && [step.x0, step.sample].iter().all(|c| c.is_finite())
            && (step.sigma.is_finite() || !noisy)
    });
    Ok(Plan::whole(settings.kind, &timesteps, noise.clone(), usable)?.with(method))
}

/// Formulas (6) and (7) of arXiv 2006.11239; after the last forward ᾱ is 1.
fn coefficients(variance: Variance, alphas: &[f32]) -> Result<Vec<Step>, TchError> {
    let previous: Vec<f32> = alphas[1..].iter().copied().chain([1.0]).collect();
    let ratios: Vec<f32> = alphas.iter().zip(&previous).map(|(alpha, previous)| alpha / previous).collect();
    let shares: Vec<f32> =
        alphas.iter().zip(&previous).map(|(alpha, previous)| (1.0 - previous) / (1.0 - alpha)).collect();
    let small = shares.iter().zip(&ratios).map(|(share, ratio)| (share * (1.0 - ratio)).max(1e-20));
    let sigmas = match variance {
        Variance::Small => roots(&small.collect::<Vec<_>>())?,
        Variance::Large => roots(&ratios.iter().map(|ratio| 1.0 - ratio).collect::<Vec<_>>())?,
        Variance::SmallLog => {
            let half_logs = Tensor::from_slice(&small.collect::<Vec<_>>()).f_log()?.f_mul_scalar(0.5)?;
            Vec::try_from(&half_logs.f_exp()?)?
        }
    };
    let (levels, ratio_roots, previous_roots) = (Level::all(alphas)?, roots(&ratios)?, roots(&previous)?);
    let step = |i: usize| {
        let beta = 1.0 - alphas[i];
        Step {
            level: levels[i],
            x0: previous_roots[i] * (1.0 - ratios[i]) / beta,
            sample: ratio_roots[i] * (1.0 - previous[i]) / beta,
            sigma: sigmas[i],
        }
    };
    Ok((0..alphas.len()).map(step).collect())
}

impl Ddpm {
    pub(super) fn advance(&self, forward: usize, inputs: &Inputs<'_>) -> Result<Tensor, TchError> {
        let step = self.steps[forward];
        let x0 = step.level.x0(self.prediction, inputs.model_output, inputs.sample)?;
        let x0 = self.clip.apply(x0)?;
        let next = times(&x0, step.x0)?.f_add(&times(inputs.sample, step.sample)?)?;
        match inputs.noise {
            Some(noise) => next.f_add(&times(noise, step.sigma)?),
            None => Ok(next),
        }
    }
}
