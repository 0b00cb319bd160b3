//! DDIM and its inversion.

use tch::{TchError, Tensor};

use super::ops::{Level, roots, times};
use super::plan::{Inputs, Plan};
use super::settings::{Clip, Prediction, Settings};
use super::{SamplerError, spacing};

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
/// diffusers v0.42.1 `src/diffusers/schedulers/scheduling_ddim.py`, `set_timesteps`, `_get_variance` and
/// `step`.
pub(super) fn plan(settings: &Settings, alphas: &[f32], steps: usize) -> Result<Plan<Ddim>, SamplerError> {
    let timesteps = spacing::whole(settings, steps);
    spacing::check_range(settings.kind, &timesteps, alphas.len())?;
    let last = if settings.set_alpha_to_one { 1.0 } else { alphas[0] };
    let stride = stride(settings, steps);
    let moves = timesteps.iter().map(|&t| (at(alphas, t, last), at(alphas, t - stride, last))).collect();
    assemble(settings, &timesteps, moves, settings.eta as f32)
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
    let initial = if settings.set_alpha_to_one { 1.0 } else { alphas[0] };
    let stride = stride(settings, steps);
    let moves =
        timesteps.iter().map(|&t| (at(alphas, t - stride, initial), at(alphas, t, initial))).collect();
    assemble(settings, &timesteps, moves, 0.0)
}

/// ᾱ at a timestep, or what stands for it before the first.
fn at(alphas: &[f32], t: i64, before: f32) -> f32 {
    usize::try_from(t).map_or(before, |t| alphas[t])
}

fn stride(settings: &Settings, steps: usize) -> i64 {
    i64::try_from(settings.num_train_timesteps / steps).expect("the number of timesteps is capped")
}

/// A plan that moves from one ᾱ to another at each forward.
fn assemble(
    settings: &Settings,
    timesteps: &[i64],
    moves: Vec<(f32, f32)>,
    eta: f32,
) -> Result<Plan<Ddim>, SamplerError> {
    let steps = coefficients(&moves, eta).map_err(SamplerError::tensor("the coefficients of DDIM"))?;
    let usable = steps.iter().map(|step| step.is_usable(settings.prediction));
    let plan = Plan::whole(settings.kind, timesteps, vec![eta > 0.0; timesteps.len()], usable)?;
    Ok(plan.with(Ddim { prediction: settings.prediction, clip: settings.clip, steps }))
}

fn coefficients(moves: &[(f32, f32)], eta: f32) -> Result<Vec<Step>, TchError> {
    let (alphas, nexts): (Vec<f32>, Vec<f32>) = moves.iter().copied().unzip();
    let variance = |&(alpha, next): &(f32, f32)| ((1.0 - next) / (1.0 - alpha)) * (1.0 - alpha / next);
    let sigmas: Vec<f32> = if eta > 0.0 {
        let variances: Vec<f32> = moves.iter().map(variance).collect();
        roots(&variances)?.into_iter().map(|root| eta * root).collect()
    } else {
        vec![0.0; moves.len()]
    };
    let rest: Vec<f32> = nexts.iter().zip(&sigmas).map(|(next, s)| 1.0 - next - s * s).collect();
    let (levels, signals, directions) = (Level::all(&alphas)?, roots(&nexts)?, roots(&rest)?);
    let step =
        |i| Step { level: levels[i], next_signal: signals[i], direction: directions[i], sigma: sigmas[i] };
    Ok((0..moves.len()).map(step).collect())
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
