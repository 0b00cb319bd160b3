//! What every sampler's schedule has: timesteps, which forwards add noise, and the method's own coefficients.

use tch::Tensor;

use super::{SamplerError, SamplerKind};

/// The schedule of one run with a method's coefficients.
pub(super) struct Plan<M> {
    pub(super) kind: SamplerKind,
    /// What the model gets at each forward.
    pub(super) timesteps: Vec<f64>,
    /// Which forwards add noise.
    pub(super) noise: Vec<bool>,
    pub(super) init_noise_sigma: f32,
    pub(super) method: M,
}

/// The tensors of one step; `noise` only where the forward adds it.
pub(super) struct Inputs<'a> {
    pub(super) model_output: &'a Tensor,
    pub(super) sample: &'a Tensor,
    pub(super) noise: Option<&'a Tensor>,
}

impl Plan<()> {
    /// A plan without a method yet. `usable` says of each forward whether its coefficients are finite.
    pub(super) fn new(
        kind: SamplerKind,
        timesteps: Vec<f64>,
        noise: Vec<bool>,
        usable: impl Iterator<Item = bool>,
    ) -> Result<Self, SamplerError> {
        if let Some((forward, &timestep)) =
            timesteps.iter().enumerate().zip(usable).find_map(|(at, ok)| (!ok).then_some(at))
        {
            return Err(SamplerError::DegenerateStep { sampler: kind, forward, timestep });
        }
        Ok(Self { kind, timesteps, noise, init_noise_sigma: 1.0, method: () })
    }

    /// [`Self::new`] for whole timesteps.
    pub(super) fn whole(
        kind: SamplerKind,
        timesteps: &[i64],
        noise: Vec<bool>,
        usable: impl Iterator<Item = bool>,
    ) -> Result<Self, SamplerError> {
        Self::new(kind, timesteps.iter().map(|&t| t as f64).collect(), noise, usable)
    }

    /// Sets the standard deviation of the initial latents.
    pub(super) fn starting_at(mut self, init_noise_sigma: f32) -> Self {
        self.init_noise_sigma = init_noise_sigma;
        self
    }
}

impl<M> Plan<M> {
    /// The same schedule with another method.
    pub(super) fn with<N>(self, method: N) -> Plan<N> {
        self.map(|_| method)
    }

    /// The same schedule with a converted method.
    pub(super) fn map<N>(self, convert: impl FnOnce(M) -> N) -> Plan<N> {
        Plan {
            kind: self.kind,
            timesteps: self.timesteps,
            noise: self.noise,
            init_noise_sigma: self.init_noise_sigma,
            method: convert(self.method),
        }
    }
}
