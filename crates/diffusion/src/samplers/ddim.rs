//! DDIM and its inversion.

use tch::{TchError, Tensor};

use super::ops::{Level, times};
use super::plan::{Inputs, Plan};
use super::settings::{Clip, Prediction, Settings};
use super::{SamplerError, SamplerKind, spacing};

/// The coefficients of both directions: x' = √ᾱ'·x0 + direction·ε + σ·noise.
pub(super) struct Ddim {
    prediction: Prediction,
    clip: Clip,
    steps: Vec<Step>,
}

#[derive(Clone, Copy)]
struct Step {
    level: Level,
    next_signal: f32,
    direction: f32,
    sigma: f32,
}

impl Step {
    fn is_usable(&self, prediction: Prediction) -> bool {
        self.level.is_usable(prediction, true)
            && [self.next_signal, self.direction, self.sigma].iter().all(|c| c.is_finite())
    }
}

/// DDIM from noise to image.
///
/// diffusers v0.42.1 `src/diffusers/schedulers/scheduling_ddim.py`, `set_timesteps`, `_get_variance` and `step`.
pub(super) fn plan(settings: &Settings, alphas: &[f32], steps: usize) -> Result<Plan<Ddim>, SamplerError> {
    let timesteps = spacing::whole(settings, steps);
    spacing::check_range(settings.kind, &timesteps, alphas.len())?;
    let stride = stride(settings, steps);
    let last = if settings.set_alpha_to_one { 1.0 } else { alphas[0] };
    let step = |&t: &i64| {
        let (alpha, next) = (at(alphas, t).unwrap_or(last), at(alphas, t - stride).unwrap_or(last));
        let variance = ((1.0 - next) / (1.0 - alpha)) * (1.0 - alpha / next);
        let sigma = settings.eta as f32 * variance.sqrt();
        let direction = (1.0 - next - sigma * sigma).sqrt();
        Step { level: Level::of(alpha), next_signal: next.sqrt(), direction, sigma }
    };
    assemble(settings, &timesteps, step)
}

/// DDIM from image to noise.
///
/// diffusers v0.42.1 `src/diffusers/schedulers/scheduling_ddim_inverse.py`, `set_timesteps` and `step`.
pub(super) fn plan_inverse(
    settings: &Settings,
    alphas: &[f32],
    steps: usize,
) -> Result<Plan<Ddim>, SamplerError> {
    let mut timesteps = spacing::whole(settings, steps);
    timesteps.reverse();
    spacing::check_range(settings.kind, &timesteps, alphas.len())?;
    let stride = stride(settings, steps);
    let initial = if settings.set_alpha_to_one { 1.0 } else { alphas[0] };
    let step = |&t: &i64| {
        let alpha = at(alphas, t - stride).unwrap_or(initial);
        let next = at(alphas, t).unwrap_or(initial);
        Step { level: Level::of(alpha), next_signal: next.sqrt(), direction: (1.0 - next).sqrt(), sigma: 0.0 }
    };
    assemble(settings, &timesteps, step)
}

/// ᾱ at a timestep; none before the first.
fn at(alphas: &[f32], t: i64) -> Option<f32> {
    usize::try_from(t).ok().and_then(|t| alphas.get(t)).copied()
}

fn stride(settings: &Settings, steps: usize) -> i64 {
    i64::try_from(settings.num_train_timesteps / steps).expect("the number of timesteps is capped")
}

fn assemble(
    settings: &Settings,
    timesteps: &[i64],
    step: impl Fn(&i64) -> Step,
) -> Result<Plan<Ddim>, SamplerError> {
    let method = Ddim {
        prediction: settings.prediction,
        clip: settings.clip,
        steps: timesteps.iter().map(step).collect(),
    };
    let noisy = settings.kind == SamplerKind::Ddim && settings.eta > 0.0;
    let usable = method.steps.iter().map(|step| step.is_usable(settings.prediction));
    let noise = vec![noisy; timesteps.len()];
    Ok(Plan::whole(settings.kind, timesteps, noise, usable)?.with(method))
}

impl Ddim {
    pub(super) fn advance(&self, forward: usize, inputs: &Inputs<'_>) -> Result<Tensor, TchError> {
        let step = self.steps[forward];
        let (output, sample) = (inputs.model_output, inputs.sample);
        let x0 = step.level.x0(self.prediction, output, sample)?;
        let epsilon = step.level.epsilon(self.prediction, output, sample)?;
        let x0 = self.clip.apply(x0)?;
        let next = times(&x0, step.next_signal)?.f_add(&times(&epsilon, step.direction)?)?;
        match inputs.noise {
            Some(noise) => next.f_add(&times(noise, step.sigma)?),
            None => Ok(next),
        }
    }
}
