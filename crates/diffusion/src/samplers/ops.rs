//! Small tensor operations with float32 coefficients, each in the order in which diffusers computes.

use tch::{Kind, TchError, Tensor};

use super::settings::{Clip, Prediction};

/// c·x.
pub(super) fn times(x: &Tensor, c: f32) -> Result<Tensor, TchError> {
    x.f_mul_scalar(f64::from(c))
}

/// x/c.
pub(super) fn over(x: &Tensor, c: f32) -> Result<Tensor, TchError> {
    x.f_div_scalar(f64::from(c))
}

/// A copy with memory of its own and no autograd history: what a row keeps must not change with the caller's
/// tensor, nor keep a whole batch alive.
pub(super) fn keep(x: &Tensor) -> Result<Tensor, TchError> {
    x.f_detach_copy()
}

/// Square roots by LibTorch: its vector library is off by one bit for a fifth of all numbers, and a noise
/// level of 4096 (zero terminal SNR) shows the difference.
pub(super) fn roots(values: &[f32]) -> Result<Vec<f32>, TchError> {
    Vec::try_from(&Tensor::from_slice(values).f_sqrt()?)
}

/// √ᾱ and √(1-ᾱ) of one timestep.
#[derive(Clone, Copy, Debug)]
pub(super) struct Level {
    pub(super) signal: f32,
    pub(super) noise: f32,
}

impl Level {
    /// The levels of some ᾱ.
    pub(super) fn all(alphas: &[f32]) -> Result<Vec<Self>, TchError> {
        let rest: Vec<f32> = alphas.iter().map(|alpha| 1.0 - alpha).collect();
        let pairs = roots(alphas)?.into_iter().zip(roots(&rest)?);
        Ok(pairs.map(|(signal, noise)| Self { signal, noise }).collect())
    }

    /// Whether x0 (and, if asked for, ε) can be computed at this level without dividing by zero.
    pub(super) fn is_usable(self, prediction: Prediction, with_noise: bool) -> bool {
        match prediction {
            Prediction::Epsilon => self.signal > 0.0,
            Prediction::Sample => self.noise > 0.0 || !with_noise,
            Prediction::V => true,
        }
    }

    /// The x0 that a model output means.
    pub(super) fn x0(
        self,
        prediction: Prediction,
        model_output: &Tensor,
        sample: &Tensor,
    ) -> Result<Tensor, TchError> {
        match prediction {
            Prediction::Epsilon => over(&sample.f_sub(&times(model_output, self.noise)?)?, self.signal),
            Prediction::V => times(sample, self.signal)?.f_sub(&times(model_output, self.noise)?),
            Prediction::Sample => Ok(model_output.shallow_clone()),
        }
    }

    /// The noise ε that a model output means; `x0` before clipping.
    pub(super) fn epsilon(
        self,
        prediction: Prediction,
        model_output: &Tensor,
        sample: &Tensor,
    ) -> Result<Tensor, TchError> {
        match prediction {
            Prediction::Epsilon => Ok(model_output.shallow_clone()),
            Prediction::V => times(model_output, self.signal)?.f_add(&times(sample, self.noise)?),
            Prediction::Sample => over(&sample.f_sub(&times(model_output, self.signal)?)?, self.noise),
        }
    }
}

impl Clip {
    /// Clips a predicted x0, `[.., c, h, w]`; the dynamic threshold is each image's own.
    ///
    /// diffusers v0.42.1 `src/diffusers/schedulers/scheduling_ddpm.py`, `_threshold_sample`.
    pub(super) fn apply(self, x0: Tensor) -> Result<Tensor, TchError> {
        match self {
            Self::Off => Ok(x0),
            Self::Range(range) => x0.f_clamp(-range, range),
            Self::Dynamic { ratio, max } => {
                let shape = x0.size();
                let image: i64 = shape.iter().rev().take(3).product();
                let flat = x0.f_reshape([-1, image])?;
                let threshold =
                    flat.f_abs()?.f_quantile_scalar(ratio, 1, true, "linear")?.f_clamp(1.0, max)?;
                let low = threshold.f_neg()?;
                flat.f_clamp_tensor(Some(&low), Some(&threshold))?
                    .f_div(&threshold)?
                    .f_reshape(shape.as_slice())
            }
        }
    }
}

/// Shape and kind, for messages.
pub(super) fn describe(shape: &[i64], kind: Kind) -> String {
    format!("{kind:?} {shape:?}")
}
