//! Ancestral sampling of the training process (DDPM).

use tch::{TchError, Tensor};

use super::ops::{Level, times};
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

/// diffusers v0.42.1 `src/diffusers/schedulers/scheduling_ddpm.py`, `set_timesteps`, `_get_variance` and `step`.
pub(super) fn plan(settings: &Settings, alphas: &[f32], steps: usize) -> Result<Plan<Ddpm>, SamplerError> {
    let timesteps = spacing::whole(settings, steps);
    spacing::check_range(settings.kind, &timesteps, alphas.len())?;
    let alpha = |i: usize| timesteps.get(i).map_or(1.0, |&t| alphas[t as usize]);
    let method = Ddpm {
        prediction: settings.prediction,
        clip: settings.clip,
        steps: (0..timesteps.len())
            .map(|i| step(settings.variance, alpha(i), alpha(i + 1)))
            .collect::<Result<_, _>>()
            .map_err(SamplerError::tensor("the DDPM variance"))?,
    };
    // At timestep 0 there is nothing left to add.
    let noise: Vec<bool> = timesteps.iter().map(|&t| t > 0).collect();
    let usable = method.steps.iter().zip(&noise).map(|(step, &noisy)| {
        step.level.is_usable(settings.prediction, false)
            && [step.x0, step.sample].iter().all(|c| c.is_finite())
            && (step.sigma.is_finite() || !noisy)
    });
    Ok(Plan::whole(settings.kind, &timesteps, noise.clone(), usable)?.with(method))
}

fn step(variance: Variance, alpha: f32, previous: f32) -> Result<Step, TchError> {
    let (beta, beta_previous) = (1.0 - alpha, 1.0 - previous);
    let current_alpha = alpha / previous;
    let current_beta = 1.0 - current_alpha;
    let small = (beta_previous / beta * current_beta).max(1e-20);
    let sigma = match variance {
        Variance::FixedSmall => small.sqrt(),
        Variance::FixedLarge => current_beta.sqrt(),
        Variance::FixedSmallLog => {
            let half_log = Tensor::from_slice(&[small]).f_log()?.f_mul_scalar(0.5)?;
            f32::try_from(half_log.f_exp()?)?
        }
    };
    Ok(Step {
        level: Level::of(alpha),
        x0: previous.sqrt() * current_beta / beta,
        sample: current_alpha.sqrt() * beta_previous / beta,
        sigma,
    })
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
