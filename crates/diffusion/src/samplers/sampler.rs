//! The schedule of one row, and its steps.

use std::fmt;
use std::sync::Arc;

use tch::{Kind, TchError, Tensor};

use super::ops::describe;
use super::plan::{Inputs, Plan};
use super::settings::{Prediction, Settings};
use super::state::{Held, History};
use super::{
    SamplerConfig, SamplerCounters, SamplerError, SamplerKind, SamplerOptions, SamplerState, ddim, ddpm, dpm,
    euler, pndm, schedule,
};

/// The schedule of one row. Cloning is cheap, and it may be shared between threads.
#[derive(Clone)]
pub struct Sampler {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    steps: usize,
    alphas_cumprod: Vec<f32>,
    pub(super) prediction: Prediction,
    pub(super) plan: Plan<Method>,
}

pub(super) enum Method {
    Ddim(ddim::Ddim),
    Pndm(pndm::Pndm),
    Euler(euler::Euler),
    Dpm(dpm::Dpm),
    Ddpm(ddpm::Ddpm),
}

impl Sampler {
    /// The schedule for `steps` inference steps of a model with this config.
    ///
    /// # Errors
    /// Config values or options that the sampler cannot honour, and schedules whose coefficients are not
    /// finite.
    pub fn new(config: &SamplerConfig, options: &SamplerOptions, steps: usize) -> Result<Self, SamplerError> {
        let settings = Settings::resolve(config, options)?;
        let (kind, max) = (settings.kind, settings.num_train_timesteps);
        if !(1..=max).contains(&steps) {
            return Err(SamplerError::Steps { steps, sampler: kind, min: 1, max });
        }
        let alphas = schedule::alphas_cumprod(&settings)?;
        let plan = match kind {
            SamplerKind::Ddim => ddim::plan(&settings, &alphas, steps)?.map(Method::Ddim),
            SamplerKind::DdimInverse => ddim::plan_inverse(&settings, &alphas, steps)?.map(Method::Ddim),
            SamplerKind::Pndm => pndm::plan(&settings, &alphas, steps)?.map(Method::Pndm),
            SamplerKind::Euler | SamplerKind::EulerAncestral => {
                euler::plan(&settings, &alphas, steps)?.map(Method::Euler)
            }
            SamplerKind::DpmSolverMultistep => dpm::plan(&settings, &alphas, steps)?.map(Method::Dpm),
            SamplerKind::Ddpm => ddpm::plan(&settings, &alphas, steps)?.map(Method::Ddpm),
        };
        let prediction = settings.prediction;
        Ok(Self { inner: Arc::new(Inner { steps, alphas_cumprod: alphas, prediction, plan }) })
    }

    /// Which sampler this is.
    #[must_use]
    pub fn kind(&self) -> SamplerKind {
        self.inner.plan.kind
    }

    /// The inference steps asked for.
    #[must_use]
    pub fn steps(&self) -> usize {
        self.inner.steps
    }

    /// Forwards of the model for the whole run. PNDM needs one more than its steps, or nine with its
    /// Runge-Kutta start.
    #[must_use]
    pub fn evaluations(&self) -> usize {
        self.inner.plan.timesteps.len()
    }

    /// The timestep that the model gets at each forward; with fractions for the Euler samplers.
    #[must_use]
    pub fn timesteps(&self) -> &[f64] {
        &self.inner.plan.timesteps
    }

    /// The timestep that the model gets at forward `i`.
    ///
    /// # Errors
    /// No such forward.
    pub fn timestep(&self, i: usize) -> Result<f64, SamplerError> {
        self.check_forward(i)?;
        Ok(self.inner.plan.timesteps[i])
    }

    /// The noise levels σ of the samplers that work in them, with the final one.
    #[must_use]
    pub fn sigmas(&self) -> Option<&[f32]> {
        match &self.inner.plan.method {
            Method::Euler(euler) => Some(&euler.sigmas),
            Method::Dpm(dpm) => Some(&dpm.sigmas),
            _ => None,
        }
    }

    /// ᾱ of every training timestep.
    #[must_use]
    pub fn alphas_cumprod(&self) -> &[f32] {
        &self.inner.alphas_cumprod
    }

    /// What the initial standard normal noise is multiplied by.
    #[must_use]
    pub fn init_noise_sigma(&self) -> f64 {
        f64::from(self.inner.plan.init_noise_sigma)
    }

    /// How many noise tensors the run draws after the initial latents, in the order of its forwards.
    #[must_use]
    pub fn noise_draws(&self) -> usize {
        self.inner.plan.noise.iter().filter(|&&noisy| noisy).count()
    }

    /// Which of these tensors forward `i` takes, if any. A row that began later than forward 0 draws only
    /// what its forwards take. Euler-ancestral draws for its last forward too, where σ_up is 0.
    #[must_use]
    pub fn noise_index(&self, i: usize) -> Option<usize> {
        let noise = &self.inner.plan.noise;
        noise.get(i)?.then(|| noise[..i].iter().filter(|&&noisy| noisy).count())
    }

    /// The latents as the model wants them at forward `i`; shape unchanged. The result may share the sample's
    /// memory.
    ///
    /// # Errors
    /// No such forward, or a failed operation.
    pub fn scale_model_input(&self, sample: &Tensor, i: usize) -> Result<Tensor, SamplerError> {
        self.check_forward(i)?;
        match &self.inner.plan.method {
            Method::Euler(euler) => euler.scale(i, sample).map_err(SamplerError::tensor("scale_model_input")),
            _ => Ok(sample.shallow_clone()),
        }
    }

    /// The state of a row before its first forward.
    #[must_use]
    pub fn start(&self) -> SamplerState {
        self.state(0, 0, History::default())
    }

    /// The state of a row that skips the first forwards, as when an image is noised by [`Self::add_noise`] to
    /// `timestep(forward)` and denoised from there.
    ///
    /// # Errors
    /// No such forward, and PNDM, whose first forwards belong together.
    pub fn start_at(&self, forward: usize) -> Result<SamplerState, SamplerError> {
        self.check_forward(forward)?;
        if forward > 0 && self.kind() == SamplerKind::Pndm {
            return Err(SamplerError::UnsupportedOption {
                option: "start_at",
                value: forward.to_string(),
                sampler: self.kind(),
                supported: "0 only".to_owned(),
            });
        }
        Ok(self.state(forward, forward, History::default()))
    }

    /// Moves a row on by one forward and returns its next latents.
    ///
    /// All tensors are float32 of one shape, `[.., c, h, w]`, on one device. `noise` is needed where
    /// [`Self::noise_index`] names one and ignored elsewhere. On an error the state is as before.
    ///
    /// # Errors
    /// A row that is done or belongs to another sampler, tensors that do not fit, missing noise, or a failed
    /// operation.
    pub fn step(
        &self,
        state: &mut SamplerState,
        model_output: &Tensor,
        sample: &Tensor,
        noise: Option<&Tensor>,
    ) -> Result<Tensor, SamplerError> {
        let forward = state.forward;
        self.check_owner(state.sampler, state.steps)?;
        self.check_forward(forward)?;
        check_like("sample", sample, &sample.size())?;
        check_like("model_output", model_output, &sample.size())?;
        let noise = if self.inner.plan.noise[forward] {
            let noise = noise.ok_or(SamplerError::MissingNoise { sampler: self.kind(), forward })?;
            check_like("noise", noise, &sample.size())?;
            Some(noise)
        } else {
            None
        };
        let inputs = Inputs { model_output, sample, noise };
        let next = self.inner.plan.method.advance(forward, &inputs, &mut state.history);
        let next = next.map_err(SamplerError::tensor("a sampler step"))?;
        state.forward += 1;
        Ok(next)
    }

    /// A state exported by the same sampler with the same config, options and steps, wherever it ran.
    ///
    /// # Errors
    /// Counters or tensors that do not fit this sampler.
    pub fn import(
        &self,
        counters: &SamplerCounters,
        tensors: Vec<(String, Tensor)>,
    ) -> Result<SamplerState, SamplerError> {
        let SamplerCounters { sampler, steps, first, forward } = *counters;
        self.check_owner(sampler, steps)?;
        if first > forward || forward > self.evaluations() {
            let all = self.evaluations();
            let reason = format!("forward {forward} after {first} is not in a run of {all} forwards");
            return Err(SamplerError::Import { reason });
        }
        let history = History::import(self.inner.plan.method.held(forward - first), tensors)?;
        Ok(self.state(first, forward, history))
    }

    fn state(&self, first: usize, forward: usize, history: History) -> SamplerState {
        SamplerState { sampler: self.kind(), steps: self.inner.steps, first, forward, history }
    }

    pub(super) fn check_forward(&self, forward: usize) -> Result<(), SamplerError> {
        let evaluations = self.evaluations();
        if forward < evaluations {
            return Ok(());
        }
        Err(SamplerError::NoSuchForward { sampler: self.kind(), forward, evaluations })
    }

    fn check_owner(&self, sampler: SamplerKind, steps: usize) -> Result<(), SamplerError> {
        if (sampler, steps) == (self.kind(), self.steps()) {
            return Ok(());
        }
        let reason =
            format!("it is of {sampler} with {steps} steps, not of {} with {}", self.kind(), self.steps());
        Err(SamplerError::Import { reason })
    }
}

/// Short: tables of a thousand numbers help nobody in a log.
impl fmt::Debug for Sampler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Sampler");
        out.field("kind", &self.kind()).field("steps", &self.steps()).finish_non_exhaustive()
    }
}

impl Method {
    fn advance(
        &self,
        forward: usize,
        inputs: &Inputs<'_>,
        history: &mut History,
    ) -> Result<Tensor, TchError> {
        match self {
            Self::Ddim(ddim) => ddim.advance(forward, inputs),
            Self::Pndm(pndm) => pndm.advance(forward, inputs, history),
            Self::Euler(euler) => euler.advance(forward, inputs),
            Self::Dpm(dpm) => dpm.advance(forward, inputs, history),
            Self::Ddpm(ddpm) => ddpm.advance(forward, inputs),
        }
    }

    fn held(&self, forwards_done: usize) -> Held {
        match self {
            Self::Pndm(pndm) => pndm.held(forwards_done),
            Self::Dpm(dpm) => (dpm.held(forwards_done), false, false),
            Self::Ddim(_) | Self::Euler(_) | Self::Ddpm(_) => (0, false, false),
        }
    }
}

fn check_like(argument: &'static str, tensor: &Tensor, shape: &[i64]) -> Result<(), SamplerError> {
    if tensor.kind() == Kind::Float && tensor.size() == shape {
        return Ok(());
    }
    let got = describe(&tensor.size(), tensor.kind());
    Err(SamplerError::TensorMismatch { argument, got, expected: describe(shape, Kind::Float) })
}
