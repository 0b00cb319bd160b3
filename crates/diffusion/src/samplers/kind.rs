//! Names of the samplers, and the choices a request makes beside the model's scheduler config.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::SamplerError;

/// A sampler by the name that users give.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SamplerKind {
    /// DDIM, deterministic for η = 0.
    #[serde(rename = "ddim")]
    Ddim,
    /// DDIM run backwards: from an image to its noise.
    #[serde(rename = "ddim-inverse")]
    DdimInverse,
    /// Pseudo numerical methods (Runge-Kutta start unless `skip_prk_steps`, then linear multistep).
    #[serde(rename = "pndm")]
    Pndm,
    /// Euler's method in σ.
    #[serde(rename = "euler")]
    Euler,
    /// Euler's method with ancestral noise.
    #[serde(rename = "euler-a")]
    EulerAncestral,
    /// DPM-Solver++ multistep, first and second order ("DPM++ 2M").
    #[serde(rename = "dpmpp-2m")]
    DpmSolverMultistep,
    /// The ancestral sampler of the training process.
    #[serde(rename = "ddpm")]
    Ddpm,
}

impl SamplerKind {
    /// Every sampler, in the order in which help texts list them.
    pub const ALL: [Self; 7] = [
        Self::Ddim,
        Self::Pndm,
        Self::Euler,
        Self::EulerAncestral,
        Self::DpmSolverMultistep,
        Self::Ddpm,
        Self::DdimInverse,
    ];

    /// The name that users give.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ddim => "ddim",
            Self::DdimInverse => "ddim-inverse",
            Self::Pndm => "pndm",
            Self::Euler => "euler",
            Self::EulerAncestral => "euler-a",
            Self::DpmSolverMultistep => "dpmpp-2m",
            Self::Ddpm => "ddpm",
        }
    }

    /// diffusers' class of this sampler, as in `_class_name`.
    #[must_use]
    pub fn class_name(self) -> &'static str {
        match self {
            Self::Ddim => "DDIMScheduler",
            Self::DdimInverse => "DDIMInverseScheduler",
            Self::Pndm => "PNDMScheduler",
            Self::Euler => "EulerDiscreteScheduler",
            Self::EulerAncestral => "EulerAncestralDiscreteScheduler",
            Self::DpmSolverMultistep => "DPMSolverMultistepScheduler",
            Self::Ddpm => "DDPMScheduler",
        }
    }

    /// The sampler of a diffusers class, if we have it.
    #[must_use]
    pub fn of_class(class_name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.class_name() == class_name)
    }

    /// All names, for messages.
    #[must_use]
    pub fn names() -> String {
        Self::ALL.map(Self::name).join(", ")
    }
}

impl fmt::Display for SamplerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for SamplerKind {
    type Err = SamplerError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.name() == name)
            .ok_or_else(|| SamplerError::UnknownSampler { name: name.to_owned() })
    }
}

/// How noise levels between two training timesteps are found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SigmaInterp {
    /// diffusers: linear in σ, on the config's `timestep_spacing`.
    #[default]
    Linear,
    /// k-diffusion's discrete schedule without quantising: linear in log σ on evenly spaced fractional
    /// timesteps from the last to the first, a final σ of 0, and initial latents of noise·σ_max. The config's
    /// `timestep_spacing`, `steps_offset`, `interpolation_type` and `final_sigmas_type` do not apply. For
    /// `euler`, `euler-a` and `dpmpp-2m`.
    Log,
}

/// What a request chooses beside the model's scheduler config.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SamplerOptions {
    /// Another sampler than the config's own.
    pub kind: Option<SamplerKind>,
    /// The σ↔t interpolation.
    pub sigma_interp: SigmaInterp,
    /// Overrides the config's `use_karras_sigmas`.
    pub karras: Option<bool>,
    /// DDIM's η, 0 to 1: how much of the DDPM variance is added as noise. Other samplers ignore it, as in
    /// diffusers.
    pub eta: f64,
}
