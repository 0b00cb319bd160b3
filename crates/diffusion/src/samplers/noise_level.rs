//! Where a row stands between noise and image: its noise level, and what a prediction says of the image.

use tch::Tensor;

use super::ops::{Level, over};
use super::sampler::Method;
use super::{Sampler, SamplerError};

impl Sampler {
    /// σ = √((1−ᾱ)/ᾱ) of the latents at forward `i`: noise over image. Infinite where nothing of the image is left.
    ///
    /// # Errors
    /// No such forward.
    pub fn sigma(&self, i: usize) -> Result<f64, SamplerError> {
        let timestep = self.timestep(i)?;
        Ok(match &self.inner.plan.method {
            Method::Euler(euler) => f64::from(euler.sigmas[i]),
            Method::Dpm(dpm) => f64::from(dpm.sigmas[i]),
            _ => {
                let alpha = f64::from(self.alphas_cumprod()[timestep as usize]);
                ((1.0 - alpha) / alpha).sqrt()
            }
        })
    }

    /// The image latents x0 that `output` of the model means for the latents `sample` at forward `i`, not clipped;
    /// shapes are equal.
    ///
    /// # Errors
    /// No such forward, or a failed operation.
    pub fn denoised(&self, i: usize, output: &Tensor, sample: &Tensor) -> Result<Tensor, SamplerError> {
        let (level, input) = (self.level_at(i)?, self.scale_model_input(sample, i)?);
        level.x0(self.inner.prediction, output, &input).map_err(SamplerError::tensor("denoised"))
    }

    /// The latents `sample` at forward `i` as x0 + σ·ε, whatever scale the sampler keeps them in.
    ///
    /// # Errors
    /// No such forward, or a failed operation.
    pub fn unscaled(&self, i: usize, sample: &Tensor) -> Result<Tensor, SamplerError> {
        match &self.inner.plan.method {
            Method::Euler(_) => self.check_forward(i).map(|()| sample.shallow_clone()),
            _ => over(sample, self.level_at(i)?.signal).map_err(SamplerError::tensor("unscaled")),
        }
    }

    /// √ᾱ and √(1−ᾱ) of what the model gets at forward `i`.
    fn level_at(&self, i: usize) -> Result<Level, SamplerError> {
        let sigma = self.sigma(i)?;
        let scale = (sigma * sigma + 1.0).sqrt();
        let noise = if sigma.is_finite() { sigma / scale } else { 1.0 };
        Ok(Level { signal: (1.0 / scale) as f32, noise: noise as f32 })
    }
}
