//! Noise levels σ of the samplers that work in them: tables, Karras spacing, and both ways between σ and t.

use tch::{Device, Kind, TchError, Tensor};

use super::ops::roots;
use super::settings::{FinalSigma, Interpolation, Settings};
use super::spacing::{self, linspace};

/// σ of every training timestep, ascending, with its logarithm.
pub(super) struct SigmaTable {
    sigmas: Vec<f32>,
    /// Logarithms in float32 (diffusers) or float64 (k-diffusion's formulas).
    logs: Vec<f64>,
}

impl SigmaTable {
    /// √((1-ᾱ)/ᾱ) with logarithms rounded to float32, as diffusers' tables are.
    pub(super) fn float32(alphas_cumprod: &[f32]) -> Result<Self, TchError> {
        let mut table = Self::float64(alphas_cumprod)?;
        table.logs.iter_mut().for_each(|log| *log = f64::from(*log as f32));
        Ok(table)
    }

    /// √((1-ᾱ)/ᾱ) with exact logarithms.
    pub(super) fn float64(alphas_cumprod: &[f32]) -> Result<Self, TchError> {
        let ratios: Vec<f32> = alphas_cumprod.iter().map(|alpha| (1.0 - alpha) / alpha).collect();
        let sigmas = roots(&ratios)?;
        let logs = sigmas.iter().map(|&sigma| f64::from(sigma).ln()).collect();
        Ok(Self { sigmas, logs })
    }

    pub(super) fn sigmas(&self) -> &[f32] {
        &self.sigmas
    }

    pub(super) fn min(&self) -> f64 {
        f64::from(self.sigmas[0])
    }

    pub(super) fn max(&self) -> f64 {
        f64::from(self.sigmas[self.sigmas.len() - 1])
    }

    /// The fractional timestep of a noise level, by log σ.
    ///
    /// diffusers v0.42.1 `src/diffusers/schedulers/scheduling_euler_discrete.py`, `_sigma_to_t`; the same as
    /// k-diffusion 0.1.1 `k_diffusion/external.py`, `DiscreteSchedule.sigma_to_t` without quantising.
    pub(super) fn sigma_to_t(&self, sigma: f64) -> f64 {
        let log = sigma.max(1e-10).ln();
        let below = self.logs.iter().rposition(|&table| log - table >= 0.0).unwrap_or(0);
        let low = below.min(self.logs.len() - 2);
        let (log_low, log_high) = (self.logs[low], self.logs[low + 1]);
        let weight = ((log_low - log) / (log_low - log_high)).clamp(0.0, 1.0);
        (1.0 - weight) * low as f64 + weight * (low + 1) as f64
    }

    /// The noise level of a fractional timestep, by log σ.
    ///
    /// k-diffusion 0.1.1 `k_diffusion/external.py`, `DiscreteSchedule.t_to_sigma`.
    pub(super) fn t_to_sigma(&self, t: f64) -> f64 {
        let (low, high) = (t.floor() as usize, t.ceil() as usize);
        let weight = t.fract();
        ((1.0 - weight) * self.logs[low] + weight * self.logs[high]).exp()
    }
}

/// `n` levels from `max` down to `min`, evenly spaced in σ^(1/7).
///
/// diffusers v0.42.1 `src/diffusers/schedulers/scheduling_euler_discrete.py`, `_convert_to_karras`.
pub(super) fn karras(min: f64, max: f64, n: usize) -> Vec<f64> {
    const RHO: f64 = 7.0;
    let (min, max) = (min.powf(1.0 / RHO), max.powf(1.0 / RHO));
    linspace(0.0, 1.0, n).into_iter().map(|ramp| (max + ramp * (min - max)).powf(RHO)).collect()
}

/// The levels of a run, with the final one, and the timesteps the model gets.
pub(super) struct Levels {
    pub(super) sigmas: Vec<f32>,
    pub(super) timesteps: Vec<f64>,
}

/// k-diffusion's levels: even fractional timesteps from the last to the first, or Karras spacing; a final 0.
///
/// k-diffusion 0.1.1 `k_diffusion/external.py`, `DiscreteSchedule.get_sigmas`, and `k_diffusion/sampling.py`,
/// `get_sigmas_karras`, in float64 where the original is float32.
pub(super) fn k_diffusion(
    settings: &Settings,
    alphas_cumprod: &[f32],
    steps: usize,
) -> Result<Levels, TchError> {
    let table = SigmaTable::float64(alphas_cumprod)?;
    let levels = if settings.karras {
        karras(settings.sigma_min.unwrap_or(table.min()), settings.sigma_max.unwrap_or(table.max()), steps)
    } else {
        let last = (settings.num_train_timesteps - 1) as f64;
        linspace(last, 0.0, steps).into_iter().map(|t| table.t_to_sigma(t)).collect()
    };
    let mut sigmas = to_float32(&levels);
    let timesteps = sigmas.iter().map(|&sigma| table.sigma_to_t(f64::from(sigma))).collect();
    sigmas.push(0.0);
    Ok(Levels { sigmas, timesteps })
}

/// The levels of diffusers' Euler classes.
///
/// diffusers v0.42.1 `src/diffusers/schedulers/scheduling_euler_discrete.py`, `set_timesteps`; without the
/// options that its class lacks also `scheduling_euler_ancestral_discrete.py`, `set_timesteps`.
pub(super) fn euler(settings: &Settings, alphas_cumprod: &[f32], steps: usize) -> Result<Levels, TchError> {
    let table = SigmaTable::float32(alphas_cumprod)?;
    let mut timesteps: Vec<f64> = spacing::fractional(settings, steps).into_iter().map(f64::from).collect();
    let mut levels: Vec<f64> = match settings.interpolation {
        Interpolation::Linear => timesteps.iter().map(|&t| spacing::interp(table.sigmas(), t)).collect(),
        Interpolation::LogLinear => log_linear(&table, steps)?,
    };
    if settings.karras {
        let (first, last) = (levels[0], levels[levels.len() - 1]);
        levels = karras(settings.sigma_min.unwrap_or(last), settings.sigma_max.unwrap_or(first), steps);
        timesteps = levels.iter().map(|&sigma| table.sigma_to_t(sigma)).collect();
    }
    let mut sigmas = to_float32(&levels);
    sigmas.push(final_sigma(settings, &table));
    let timesteps = timesteps.into_iter().map(|t| f64::from(t as f32)).collect();
    Ok(Levels { sigmas, timesteps })
}

/// The levels of diffusers' DPM-Solver++: whole timesteps also for Karras spacing.
///
/// diffusers v0.42.1 `src/diffusers/schedulers/scheduling_dpmsolver_multistep.py`, `set_timesteps`.
pub(super) fn dpm_solver(
    settings: &Settings,
    alphas_cumprod: &[f32],
    timesteps: &[i64],
    steps: usize,
    round_karras: bool,
) -> Result<Levels, TchError> {
    let table = SigmaTable::float32(alphas_cumprod)?;
    let (levels, timesteps): (Vec<f64>, Vec<f64>) = if settings.karras {
        let (min, max) =
            (settings.sigma_min.unwrap_or(table.min()), settings.sigma_max.unwrap_or(table.max()));
        let levels = karras(min, max, steps);
        let whole = |t: f64| if round_karras { t.round_ties_even() } else { t.trunc() };
        let timesteps = levels.iter().map(|&sigma| whole(table.sigma_to_t(sigma))).collect();
        (levels, timesteps)
    } else {
        let timesteps: Vec<f64> = timesteps.iter().map(|&t| t as f64).collect();
        (timesteps.iter().map(|&t| spacing::interp(table.sigmas(), t)).collect(), timesteps)
    };
    let mut sigmas = to_float32(&levels);
    sigmas.push(final_sigma(settings, &table));
    Ok(Levels { sigmas, timesteps })
}

/// One level more than the steps, evenly spaced in log σ between the ends of the table.
fn log_linear(table: &SigmaTable, steps: usize) -> Result<Vec<f64>, TchError> {
    let (first, last) = (table.logs[0], table.logs[table.logs.len() - 1]);
    let count = i64::try_from(steps + 1).expect("steps are at most the capped number of timesteps");
    let levels = Tensor::f_linspace(last, first, count, (Kind::Float, Device::Cpu))?.f_exp()?;
    Ok(Vec::<f32>::try_from(&levels)?.into_iter().map(f64::from).collect())
}

fn final_sigma(settings: &Settings, table: &SigmaTable) -> f32 {
    match settings.final_sigma {
        FinalSigma::Zero => 0.0,
        FinalSigma::SigmaMin => table.sigmas[0],
    }
}

fn to_float32(levels: &[f64]) -> Vec<f32> {
    levels.iter().map(|&sigma| sigma as f32).collect()
}
