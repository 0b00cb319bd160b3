//! A config's fields as typed values for one sampler, each checked, with that class's own defaults.

use super::reader::{
    BETA_SCHEDULES, FINAL_SIGMAS, INTERPOLATIONS, Reader, SOLVER_TYPES, default_spacing, predictions,
    spacings,
};
use super::{SamplerConfig, SamplerError, SamplerKind, SamplerOptions, SigmaInterp};

/// The longest training schedule that is accepted; real ones have 1,000.
pub(super) const MAX_TRAIN_TIMESTEPS: usize = 100_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Prediction {
    Epsilon,
    V,
    Sample,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spacing {
    Linspace,
    Leading,
    Trailing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BetaSchedule {
    Linear,
    ScaledLinear,
    SquaredCosine,
}

/// What happens to a predicted x0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Clip {
    Off,
    Range(f64),
    Dynamic { ratio: f64, max: f64 },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FinalSigma {
    Zero,
    SigmaMin,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Interpolation {
    Linear,
    LogLinear,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SolverType {
    Midpoint,
    Heun,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Variance {
    Small,
    SmallLog,
    Large,
}

/// One sampler's settings. Fields that its class lacks hold values that change nothing.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) kind: SamplerKind,
    pub(super) num_train_timesteps: usize,
    pub(super) beta_start: f64,
    pub(super) beta_end: f64,
    pub(super) beta_schedule: BetaSchedule,
    pub(super) trained_betas: Option<Vec<f32>>,
    pub(super) zero_snr: bool,
    pub(super) prediction: Prediction,
    pub(super) spacing: Spacing,
    pub(super) steps_offset: i64,
    pub(super) set_alpha_to_one: bool,
    pub(super) clip: Clip,
    pub(super) skip_prk_steps: bool,
    pub(super) variance: Variance,
    pub(super) karras: bool,
    pub(super) sigma_min: Option<f64>,
    pub(super) sigma_max: Option<f64>,
    pub(super) final_sigma: FinalSigma,
    pub(super) interpolation: Interpolation,
    pub(super) solver_order: usize,
    pub(super) solver_type: SolverType,
    pub(super) lower_order_final: bool,
    pub(super) euler_at_final: bool,
    pub(super) lambda_min_clipped: f64,
    pub(super) sigma_interp: SigmaInterp,
    pub(super) eta: f64,
}

impl Settings {
    /// Reads the config as the class of the chosen sampler would, then applies the request's options.
    pub(super) fn resolve(config: &SamplerConfig, options: &SamplerOptions) -> Result<Self, SamplerError> {
        let kind = options.kind.map_or_else(|| config.kind(), Ok)?;
        let read = Reader { config, kind };
        read.refuse_other_methods()?;
        let num_train_timesteps = read.count("num_train_timesteps", 1000, 1..=MAX_TRAIN_TIMESTEPS)?;
        let offset = read.count("steps_offset", 0, 0..=num_train_timesteps)?;
        let settings = Self {
            kind,
            num_train_timesteps,
            beta_start: read.real("beta_start", 0.0001, 0.0..=1.0)?,
            beta_end: read.real("beta_end", 0.02, 0.0..=1.0)?,
            beta_schedule: read.choice("beta_schedule", BetaSchedule::Linear, &BETA_SCHEDULES)?,
            trained_betas: read.trained_betas(num_train_timesteps)?,
            zero_snr: read.flag("rescale_betas_zero_snr", false)?,
            prediction: read.choice("prediction_type", Prediction::Epsilon, predictions(kind))?,
            spacing: read.choice("timestep_spacing", default_spacing(kind), spacings(kind))?,
            steps_offset: i64::try_from(offset).expect("an offset is at most the capped number of timesteps"),
            set_alpha_to_one: read.flag("set_alpha_to_one", kind != SamplerKind::Pndm)?,
            clip: read.clip()?,
            skip_prk_steps: read.flag("skip_prk_steps", false)?,
            variance: read.variance()?,
            karras: read.flag("use_karras_sigmas", false)?,
            sigma_min: read.optional_real("sigma_min", 0.0..=f64::MAX)?,
            sigma_max: read.optional_real("sigma_max", 0.0..=f64::MAX)?,
            final_sigma: read.choice("final_sigmas_type", FinalSigma::Zero, &FINAL_SIGMAS)?,
            interpolation: read.choice("interpolation_type", Interpolation::Linear, &INTERPOLATIONS)?,
            solver_order: read.count("solver_order", 2, 1..=2)?,
            solver_type: read.choice("solver_type", SolverType::Midpoint, &SOLVER_TYPES)?,
            lower_order_final: read.flag("lower_order_final", true)?,
            euler_at_final: read.flag("euler_at_final", false)?,
            lambda_min_clipped: read.lambda_min_clipped()?,
            sigma_interp: options.sigma_interp,
            eta: options.eta,
        };
        settings.with_options(options)
    }

    fn with_options(mut self, options: &SamplerOptions) -> Result<Self, SamplerError> {
        let refuse = |option, value: String, supported: &str| {
            let supported = supported.to_owned();
            Err(SamplerError::UnsupportedOption { option, value, sampler: self.kind, supported })
        };
        let in_sigmas = matches!(
            self.kind,
            SamplerKind::Euler | SamplerKind::EulerAncestral | SamplerKind::DpmSolverMultistep
        );
        let log = options.sigma_interp == SigmaInterp::Log;
        if log && !in_sigmas {
            return refuse("sigma_interp", "log".to_owned(), "linear only");
        }
        let has_karras = in_sigmas && (log || self.kind != SamplerKind::EulerAncestral);
        if options.karras == Some(true) && !has_karras {
            return refuse(
                "karras",
                "true".to_owned(),
                "false only (euler and dpmpp-2m have it, euler-a with log)",
            );
        }
        if !(0.0..=1.0).contains(&options.eta) {
            return refuse("eta", options.eta.to_string(), "0 to 1");
        }
        self.karras = options.karras.unwrap_or(self.karras);
        if (self.karras || log) && self.num_train_timesteps < 2 {
            let reason = "`num_train_timesteps` is 1, and interpolated sigmas need at least 2";
            return Err(SamplerError::DegenerateSchedule { sampler: self.kind, reason });
        }
        Ok(self)
    }
}
