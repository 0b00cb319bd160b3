//! Euler's method in σ, plain and ancestral, for diffusers' and k-diffusion's noise levels.

use tch::{TchError, Tensor};

use super::ops::{over, roots, times};
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
    /// √(σ²+1).
    scale: f32,
    dt: f32,
    up: f32,
}

impl Step {
    fn is_usable(&self) -> bool {
        self.sigma > 0.0 && [self.scale, self.dt, self.up].iter().all(|c| c.is_finite())
    }
}

/// diffusers v0.42.1 `src/diffusers/schedulers/scheduling_euler_discrete.py` and
/// `scheduling_euler_ancestral_discrete.py`, `set_timesteps`, `init_noise_sigma` and `step`; k-diffusion
/// 0.1.1 `k_diffusion/sampling.py`, `sample_euler` and `sample_euler_ancestral`.
pub(super) fn plan(settings: &Settings, alphas: &[f32], steps: usize) -> Result<Plan<Euler>, SamplerError> {
    let levels = match settings.sigma_interp {
        SigmaInterp::Log => sigmas::k_diffusion(settings, alphas, steps),
        SigmaInterp::Linear => sigmas::euler(settings, alphas, steps),
    };
    let Levels { sigmas, timesteps } = levels.map_err(SamplerError::tensor("the noise levels of Euler"))?;
    let ancestral = settings.kind == SamplerKind::EulerAncestral;
    let steps = coefficients(&sigmas[..=timesteps.len()], ancestral)
        .map_err(SamplerError::tensor("the coefficients of Euler"))?;
    let highest = sigmas.iter().copied().fold(0.0, f32::max);
    let init = if settings.spacing == Spacing::Leading && settings.sigma_interp == SigmaInterp::Linear {
        roots(&[highest * highest + 1.0]).map_err(SamplerError::tensor("the initial noise level"))?[0]
    } else {
        highest
    };
    let usable = steps.iter().map(Step::is_usable);
    let noise = vec![ancestral; timesteps.len()];
    let plan = Plan::new(settings.kind, timesteps, noise, usable)?.starting_at(init);
    Ok(plan.with(Euler { prediction: settings.prediction, sigmas, steps }))
}

fn coefficients(sigmas: &[f32], ancestral: bool) -> Result<Vec<Step>, TchError> {
    let squares: Vec<f32> = sigmas.iter().map(|sigma| sigma * sigma).collect();
    let scales = roots(&squares.iter().map(|square| square + 1.0).collect::<Vec<_>>())?;
    let (ups, downs) = if ancestral {
        let up = |pair: &[f32]| pair[1] * (pair[0] - pair[1]) / pair[0];
        let ups = roots(&squares.windows(2).map(up).collect::<Vec<_>>())?;
        // For σ far below the one before, the root rounds up and the difference falls just below 0.
        let left = |(to, up): (&f32, &f32)| if *to < up * up { 0.0 } else { to - up * up };
        let downs = roots(&squares[1..].iter().zip(&ups).map(left).collect::<Vec<_>>())?;
        (ups, downs)
    } else {
        (vec![0.0; sigmas.len() - 1], sigmas[1..].to_vec())
    };
    let step = |i: usize| Step { sigma: sigmas[i], scale: scales[i], dt: downs[i] - sigmas[i], up: ups[i] };
    Ok((0..sigmas.len() - 1).map(step).collect())
}

impl Euler {
    /// x/√(σ²+1): what the model gets.
    pub(super) fn scale(&self, forward: usize, sample: &Tensor) -> Result<Tensor, TchError> {
        over(sample, self.steps[forward].scale)
    }

    pub(super) fn advance(&self, forward: usize, inputs: &Inputs<'_>) -> Result<Tensor, TchError> {
        let step = self.steps[forward];
        let (output, sample) = (inputs.model_output, inputs.sample);
        let x0 = match self.prediction {
            Prediction::Epsilon => sample.f_sub(&times(output, step.sigma)?)?,
            Prediction::Sample => output.shallow_clone(),
            Prediction::V => {
                let square = step.sigma * step.sigma + 1.0;
                times(output, -step.sigma / step.scale)?.f_add(&over(sample, square)?)?
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
