//! Euler's method in σ, plain and ancestral, for diffusers' and k-diffusion's noise levels.

use tch::{TchError, Tensor};

use super::ops::{over, times};
use super::plan::{Inputs, Plan};
use super::settings::{Prediction, Settings, Spacing};
use super::sigmas::{self, Levels};
use super::{SamplerError, SamplerKind, SigmaInterp};

/// x' = x + dt·(x - x0)/σ, with ancestral noise σ_up·noise.
pub(super) struct Euler {
    prediction: Prediction,
    pub(super) sigmas: Vec<f32>,
    steps: Vec<Step>,
}

#[derive(Clone, Copy)]
struct Step {
    sigma: f32,
    dt: f32,
    up: f32,
}

impl Step {
    fn plain(from: f32, to: f32) -> Self {
        Self { sigma: from, dt: to - from, up: 0.0 }
    }

    fn ancestral(from: f32, to: f32) -> Self {
        let (from2, to2) = (from * from, to * to);
        let up = (to2 * (from2 - to2) / from2).sqrt();
        // For σ far below the one before, √ rounds up and the difference falls just below 0.
        let left = to2 - up * up;
        let down = if left < 0.0 { 0.0 } else { left.sqrt() };
        Self { sigma: from, dt: down - from, up }
    }
}

/// diffusers v0.42.1 `src/diffusers/schedulers/scheduling_euler_discrete.py` and
/// `scheduling_euler_ancestral_discrete.py`, `set_timesteps`, `init_noise_sigma` and `step`; k-diffusion 0.1.1
/// `k_diffusion/sampling.py`, `sample_euler` and `sample_euler_ancestral`.
pub(super) fn plan(settings: &Settings, alphas: &[f32], steps: usize) -> Result<Plan<Euler>, SamplerError> {
    let Levels { sigmas, timesteps } = match settings.sigma_interp {
        SigmaInterp::Log => sigmas::k_diffusion(settings, alphas, steps),
        SigmaInterp::Linear => sigmas::euler(settings, alphas, steps)
            .map_err(SamplerError::tensor("the noise levels of Euler"))?,
    };
    let ancestral = settings.kind == SamplerKind::EulerAncestral;
    let step = if ancestral { Step::ancestral } else { Step::plain };
    let steps: Vec<Step> =
        sigmas.windows(2).take(timesteps.len()).map(|pair| step(pair[0], pair[1])).collect();
    let highest = sigmas.iter().copied().fold(0.0, f32::max);
    let scaled = settings.spacing == Spacing::Leading && settings.sigma_interp == SigmaInterp::Linear;
    let init = if scaled { (highest * highest + 1.0).sqrt() } else { highest };
    let usable = steps
        .iter()
        .map(|s| s.sigma > 0.0 && (s.sigma * s.sigma).is_finite() && s.dt.is_finite() && s.up.is_finite());
    let noise = vec![ancestral; timesteps.len()];
    let plan = Plan::new(settings.kind, timesteps, noise, usable)?.starting_at(init);
    Ok(plan.with(Euler { prediction: settings.prediction, sigmas, steps }))
}

impl Euler {
    /// x/√(σ²+1): what the model gets.
    pub(super) fn scale(&self, forward: usize, sample: &Tensor) -> Result<Tensor, TchError> {
        let sigma = self.steps[forward].sigma;
        over(sample, (sigma * sigma + 1.0).sqrt())
    }

    pub(super) fn advance(&self, forward: usize, inputs: &Inputs<'_>) -> Result<Tensor, TchError> {
        let step = self.steps[forward];
        let (output, sample) = (inputs.model_output, inputs.sample);
        let x0 = match self.prediction {
            Prediction::Epsilon => sample.f_sub(&times(output, step.sigma)?)?,
            Prediction::Sample => output.shallow_clone(),
            Prediction::V => {
                let scale = step.sigma * step.sigma + 1.0;
                times(output, -step.sigma / scale.sqrt())?.f_add(&over(sample, scale)?)?
            }
        };
        let derivative = over(&sample.f_sub(&x0)?, step.sigma)?;
        let next = sample.f_add(&times(&derivative, step.dt)?)?;
        match inputs.noise {
            Some(noise) => next.f_add(&times(noise, step.up)?),
            None => Ok(next),
        }
    }
}
