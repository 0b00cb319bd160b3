//! Noise on top of an image, at the levels of a sampler's schedule.

use tch::Tensor;

use super::ops::{Level, times};
use super::sampler::Method;
use super::{Sampler, SamplerError};

impl Sampler {
    /// `x0` with `noise` at the level of timestep `t`, which must be a whole training timestep or, for the
    /// samplers with [`Self::sigmas`], one of the run's own. Shapes are equal. The scale of the result is the
    /// sampler's.
    ///
    /// diffusers v0.42.1 `src/diffusers/schedulers/`, `add_noise` of each class.
    ///
    /// # Errors
    /// No such timestep, or a failed operation.
    pub fn add_noise(&self, x0: &Tensor, noise: &Tensor, t: f64) -> Result<Tensor, SamplerError> {
        let level = match &self.inner.plan.method {
            Method::Euler(euler) => Level { signal: 1.0, noise: euler.sigmas[self.index_of(t)?] },
            Method::Dpm(dpm) => dpm.levels[self.index_of(t)?],
            _ => self.level(t)?,
        };
        let mix = || times(x0, level.signal)?.f_add(&times(noise, level.noise)?);
        mix().map_err(SamplerError::tensor("add_noise"))
    }

    /// √ᾱ_t·noise - √(1-ᾱ_t)·x0 at a whole training timestep; shapes are equal.
    ///
    /// diffusers v0.42.1 `src/diffusers/schedulers/scheduling_ddpm.py`, `get_velocity`.
    ///
    /// # Errors
    /// No such timestep, or a failed operation.
    pub fn velocity(&self, x0: &Tensor, noise: &Tensor, t: f64) -> Result<Tensor, SamplerError> {
        let level = self.level(t)?;
        let mix = || times(noise, level.signal)?.f_sub(&times(x0, level.noise)?);
        mix().map_err(SamplerError::tensor("velocity"))
    }

    /// Where a timestep stands in the run: the second place if it stands there twice, as diffusers looks it
    /// up.
    fn index_of(&self, t: f64) -> Result<usize, SamplerError> {
        let mut places = self.inner.plan.timesteps.iter().enumerate().filter(|&(_, &own)| own == t);
        let first = places.next();
        let place = places.next().or(first);
        place.map(|(i, _)| i).ok_or(SamplerError::NoSuchTimestep { sampler: self.kind(), timestep: t })
    }

    fn level(&self, t: f64) -> Result<Level, SamplerError> {
        let whole = t >= 0.0 && t.fract() == 0.0;
        let alpha = self.alphas_cumprod().get(t as usize).filter(|_| whole);
        let alpha = alpha.ok_or(SamplerError::NoSuchTimestep { sampler: self.kind(), timestep: t })?;
        Ok(Level::all(&[*alpha]).map_err(SamplerError::tensor("a noise level"))?[0])
    }
}
