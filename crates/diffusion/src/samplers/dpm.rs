//! DPM-Solver++, first and second order multistep ("DPM++ 2M").

use tch::{TchError, Tensor};

use super::ops::{Level, keep, roots, times};
use super::plan::{Inputs, Plan};
use super::settings::{BetaSchedule, Clip, Prediction, Settings, SolverType};
use super::sigmas::{self, Levels};
use super::state::History;
use super::{SamplerError, SigmaInterp, spacing};

/// x' = ratio·x - first·m0 - second·D1, with D1 = (m0 - m1)/r and m the predicted x0 of this and the last
/// forward.
pub(super) struct Dpm {
    prediction: Prediction,
    clip: Clip,
    second_order: bool,
    pub(super) sigmas: Vec<f32>,
    pub(super) levels: Vec<Level>,
    steps: Vec<Step>,
}

#[derive(Clone, Copy)]
struct Step {
    level: Level,
    ratio: f32,
    first: f32,
    /// Factor of D1, and 1/r; none where the step is of first order whatever came before.
    second: Option<(f32, f32)>,
}

/// diffusers v0.42.1 `src/diffusers/schedulers/scheduling_dpmsolver_multistep.py`, `set_timesteps` and
/// `step`.
///
/// With k-diffusion's levels this is `k_diffusion/sampling.py`, `sample_dpmpp_2m`, in samples that are scaled
/// by 1/√(σ²+1): the same values, and the initial noise is scaled to match.
pub(super) fn plan(settings: &Settings, alphas: &[f32], steps: usize) -> Result<Plan<Dpm>, SamplerError> {
    let log = settings.sigma_interp == SigmaInterp::Log;
    let Levels { sigmas, timesteps } = if log {
        sigmas::k_diffusion(settings, alphas, steps)
            .map_err(SamplerError::tensor("the noise levels of DPM-Solver++"))?
    } else {
        diffusers_levels(settings, alphas, steps)?
    };
    let failed = SamplerError::tensor;
    let levels = levels(&sigmas).map_err(failed("the noise levels of DPM-Solver++"))?;
    let steps =
        coefficients(settings, &levels, &sigmas).map_err(failed("the coefficients of DPM-Solver++"))?;
    let usable = steps.iter().map(|s| {
        let second = s.second.is_none_or(|(factor, inverse)| factor.is_finite() && inverse.is_finite());
        s.level.is_usable(settings.prediction, false) && s.ratio.is_finite() && s.first.is_finite() && second
    });
    let noise = vec![false; timesteps.len()];
    let plan = Plan::new(settings.kind, timesteps, noise, usable)?;
    // In these scaled samples noise·σ_max becomes noise·σ_max/√(σ_max²+1).
    let init = if log { levels[0].noise } else { 1.0 };
    Ok(plan.starting_at(init).with(Dpm {
        prediction: settings.prediction,
        clip: settings.clip,
        second_order: settings.solver_order == 2,
        sigmas,
        steps,
        levels,
    }))
}

/// α and σ of samples whose signal and noise have variance 1 together.
fn levels(sigmas: &[f32]) -> Result<Vec<Level>, TchError> {
    let scales = roots(&sigmas.iter().map(|sigma| sigma * sigma + 1.0).collect::<Vec<_>>())?;
    let level = |(sigma, scale): (&f32, f32)| {
        let alpha = 1.0 / scale;
        Level { signal: alpha, noise: sigma * alpha }
    };
    Ok(sigmas.iter().zip(scales).map(level).collect())
}

fn diffusers_levels(settings: &Settings, alphas: &[f32], steps: usize) -> Result<Levels, SamplerError> {
    let lambdas = || -> Result<Vec<f32>, TchError> {
        let alphas = Tensor::from_slice(alphas);
        let noise = alphas.f_neg()?.f_add_scalar(1.0)?.f_sqrt()?.f_log()?;
        Vec::try_from(&alphas.f_sqrt()?.f_log()?.f_sub(&noise)?)
    };
    let lambdas = lambdas().map_err(SamplerError::tensor("the log signal-to-noise ratios"))?;
    let floor = settings.lambda_min_clipped as f32;
    let last = lambdas.iter().filter(|&&lambda| lambda >= floor).count();
    if last == 0 {
        let reason = "`lambda_min_clipped` is above every timestep's log signal-to-noise ratio; lower it";
        return Err(SamplerError::DegenerateSchedule { sampler: settings.kind, reason });
    }
    let timesteps = spacing::multistep(settings, last, steps);
    spacing::check_range(settings.kind, &timesteps, alphas.len())?;
    let round = settings.beta_schedule != BetaSchedule::SquaredCosine;
    sigmas::dpm_solver(settings, alphas, &timesteps, steps, round)
        .map_err(SamplerError::tensor("the noise levels of DPM-Solver++"))
}

/// diffusers v0.42.1, same file, `dpm_solver_first_order_update` and
/// `multistep_dpm_solver_second_order_update`.
fn coefficients(settings: &Settings, levels: &[Level], sigmas: &[f32]) -> Result<Vec<Step>, TchError> {
    let log = |value: fn(&Level) -> f32| {
        let values: Vec<f32> = levels.iter().map(value).collect();
        Tensor::from_slice(&values).f_log()
    };
    let lambdas = log(|l| l.signal)?.f_sub(&log(|l| l.noise)?)?;
    let count = i64::try_from(levels.len() - 1).expect("steps are at most the capped number of timesteps");
    let h = lambdas.f_narrow(0, 1, count)?.f_sub(&lambdas.f_narrow(0, 0, count)?)?;
    let decay = Vec::<f32>::try_from(&h.f_neg()?.f_exp()?.f_sub_scalar(1.0)?)?;
    let h = Vec::<f32>::try_from(&h)?;
    let steps = h.len();
    let step = |i: usize| {
        let next = levels[i + 1];
        let first = next.signal * decay[i];
        let few = steps < 15 && settings.lower_order_final;
        let ends_low = settings.euler_at_final || few || sigmas[steps] == 0.0;
        let low = settings.solver_order == 1 || i == 0 || (i == steps - 1 && ends_low);
        let second = (!low).then(|| {
            let factor = match settings.solver_type {
                SolverType::Midpoint => 0.5 * first,
                SolverType::Heun => -(next.signal * (decay[i] / h[i] + 1.0)),
            };
            (factor, 1.0 / (h[i - 1] / h[i]))
        });
        Step { level: levels[i], ratio: next.noise / levels[i].noise, first, second }
    };
    Ok((0..steps).map(step).collect())
}

impl Dpm {
    pub(super) fn advance(
        &self,
        forward: usize,
        inputs: &Inputs<'_>,
        history: &mut History,
    ) -> Result<Tensor, TchError> {
        let step = self.steps[forward];
        let x0 = step.level.x0(self.prediction, inputs.model_output, inputs.sample)?;
        let x0 = self.clip.apply(x0)?;
        let mut next = times(inputs.sample, step.ratio)?.f_sub(&times(&x0, step.first)?)?;
        if let (Some((factor, inverse)), Some(before)) = (step.second, history.outputs.last()) {
            let d1 = times(&x0.f_sub(before)?, inverse)?;
            next = next.f_sub(&times(&d1, factor)?)?;
        }
        if self.second_order {
            history.outputs = vec![keep(&x0)?];
        }
        Ok(next)
    }

    /// How many tensors a row holds after some forwards.
    pub(super) fn held(&self, forwards_done: usize) -> usize {
        usize::from(self.second_order && forwards_done > 0)
    }
}
