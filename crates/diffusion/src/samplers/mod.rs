//! Diffusion samplers with per-row state, equal to diffusers 0.42.1 in float32.
//!
//! A [`Sampler`] is the immutable schedule of one row: what the model gets at each forward and how the
//! latents move. A [`SamplerState`] is what the row carries from forward to forward. Rows with different
//! samplers, step counts and positions can share a batch, because nothing here looks at more than one row,
//! and a row can be exported after any forward and go on elsewhere with the same bits.
//!
//! ```
//! use retouch_diffusion::samplers::{Sampler, SamplerConfig, SamplerOptions};
//! use tch::{Device, Kind, Tensor};
//!
//! let config = SamplerConfig::from_json(r#"{"_class_name": "EulerAncestralDiscreteScheduler"}"#)?;
//! let sampler = Sampler::new(&config, &SamplerOptions::default(), 4)?;
//! let draw = || Tensor::randn([4, 8, 8], (Kind::Float, Device::Cpu));
//! let mut latents = draw() * sampler.init_noise_sigma();
//! let mut state = sampler.start();
//! for forward in 0..sampler.evaluations() {
//!     let input = sampler.scale_model_input(&latents, forward)?;
//!     let output = input.tanh(); // the model, at sampler.timesteps()[forward]
//!     let noise = sampler.noise_index(forward).map(|_| draw());
//!     latents = sampler.step(&mut state, &output, &latents, noise.as_ref())?;
//! }
//! # Ok::<(), retouch_diffusion::samplers::SamplerError>(())
//! ```
//!
//! Where this differs from diffusers on purpose: a first timestep that occurs twice (Karras spacing with very
//! many steps) begins at its first occurrence, as diffusers does after `set_begin_index(0)`; a spurious last
//! timestep of -1 from rounding ("trailing" with some step counts) is left out; configs and step counts that
//! give NaN or an index error there are named errors here, see [`SamplerError`].

mod config;
mod ddim;
mod ddpm;
mod dpm;
mod error;
mod euler;
mod kind;
mod noise_level;
mod noising;
mod ops;
mod plan;
mod pndm;
mod reader;
mod sampler;
mod schedule;
mod settings;
mod sigmas;
mod spacing;
mod state;

pub use config::SamplerConfig;
pub use error::SamplerError;
pub use kind::{SamplerKind, SamplerOptions, SigmaInterp};
pub use sampler::Sampler;
pub use schedule::NoiseTable;
pub use state::{SamplerCounters, SamplerState};
