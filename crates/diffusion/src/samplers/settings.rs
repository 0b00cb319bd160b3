//! A config's fields as typed values for one sampler, each checked, with that class's own defaults.

use std::ops::RangeInclusive;

use serde_json::Value;

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
    FixedSmall,
    FixedSmallLog,
    FixedLarge,
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

const BETA_SCHEDULES: [(&str, BetaSchedule); 3] = [
    ("linear", BetaSchedule::Linear),
    ("scaled_linear", BetaSchedule::ScaledLinear),
    ("squaredcos_cap_v2", BetaSchedule::SquaredCosine),
];

/// diffusers has `fixed_large_log` too, but takes the root of a negative logarithm there: every sample is NaN.
const VARIANCES: [(&str, Variance); 3] = [
    ("fixed_small", Variance::FixedSmall),
    ("fixed_small_log", Variance::FixedSmallLog),
    ("fixed_large", Variance::FixedLarge),
];

const FINAL_SIGMAS: [(&str, FinalSigma); 2] =
    [("zero", FinalSigma::Zero), ("sigma_min", FinalSigma::SigmaMin)];

const INTERPOLATIONS: [(&str, Interpolation); 2] =
    [("linear", Interpolation::Linear), ("log_linear", Interpolation::LogLinear)];

/// The last three are other solvers' types, which DPM-Solver++ takes for `midpoint`, as in diffusers.
const SOLVER_TYPES: [(&str, SolverType); 5] = [
    ("midpoint", SolverType::Midpoint),
    ("heun", SolverType::Heun),
    ("logrho", SolverType::Midpoint),
    ("bh1", SolverType::Midpoint),
    ("bh2", SolverType::Midpoint),
];

fn predictions(kind: SamplerKind) -> &'static [(&'static str, Prediction)] {
    const ALL: [(&str, Prediction); 4] = [
        ("epsilon", Prediction::Epsilon),
        ("v_prediction", Prediction::V),
        ("sample", Prediction::Sample),
        ("original_sample", Prediction::Sample),
    ];
    match kind {
        SamplerKind::Pndm | SamplerKind::EulerAncestral => &ALL[..2],
        SamplerKind::Euler => &ALL,
        _ => &ALL[..3],
    }
}

fn spacings(kind: SamplerKind) -> &'static [(&'static str, Spacing)] {
    const ALL: [(&str, Spacing); 3] =
        [("leading", Spacing::Leading), ("trailing", Spacing::Trailing), ("linspace", Spacing::Linspace)];
    if kind == SamplerKind::DdimInverse { &ALL[..2] } else { &ALL }
}

fn default_spacing(kind: SamplerKind) -> Spacing {
    match kind {
        SamplerKind::Euler | SamplerKind::EulerAncestral | SamplerKind::DpmSolverMultistep => {
            Spacing::Linspace
        }
        _ => Spacing::Leading,
    }
}

/// Reads single fields of a config for one sampler.
struct Reader<'a> {
    config: &'a SamplerConfig,
    kind: SamplerKind,
}

impl Reader<'_> {
    fn get(&self, field: &str) -> Option<&Value> {
        self.config.field(self.kind, field)
    }

    fn refuse(&self, field: &str, value: &Value, supported: impl Into<String>) -> SamplerError {
        SamplerError::UnsupportedValue {
            field: field.to_owned(),
            value: value.to_string().chars().take(80).collect(),
            sampler: self.kind,
            supported: supported.into(),
        }
    }

    /// `null` is false, as in Python.
    fn flag(&self, field: &str, default: bool) -> Result<bool, SamplerError> {
        match self.get(field) {
            None => Ok(default),
            Some(Value::Null) => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(other) => Err(self.refuse(field, other, "true or false")),
        }
    }

    fn choice<T: Copy>(&self, field: &str, default: T, choices: &[(&str, T)]) -> Result<T, SamplerError> {
        let Some(value) = self.get(field) else { return Ok(default) };
        let chosen = choices.iter().find(|(name, _)| value.as_str() == Some(name));
        chosen.map(|(_, choice)| *choice).ok_or_else(|| {
            let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
            self.refuse(field, value, names.join(", "))
        })
    }

    fn count(
        &self,
        field: &str,
        default: usize,
        range: RangeInclusive<usize>,
    ) -> Result<usize, SamplerError> {
        let Some(value) = self.get(field) else { return Ok(default) };
        let count = value.as_u64().and_then(|count| usize::try_from(count).ok());
        count.filter(|count| range.contains(count)).ok_or_else(|| {
            self.refuse(field, value, format!("a whole number from {} to {}", range.start(), range.end()))
        })
    }

    fn real(&self, field: &str, default: f64, range: RangeInclusive<f64>) -> Result<f64, SamplerError> {
        let Some(value) = self.get(field) else { return Ok(default) };
        value.as_f64().filter(|real| range.contains(real)).ok_or_else(|| {
            let supported = match *range.end() {
                f64::MAX => format!("a finite number from {}", range.start()),
                end => format!("a number from {} to {end}", range.start()),
            };
            self.refuse(field, value, supported)
        })
    }

    fn optional_real(&self, field: &str, range: RangeInclusive<f64>) -> Result<Option<f64>, SamplerError> {
        match self.get(field) {
            None | Some(Value::Null) => Ok(None),
            Some(_) => self.real(field, 0.0, range).map(Some),
        }
    }

    fn trained_betas(&self, expected: usize) -> Result<Option<Vec<f32>>, SamplerError> {
        let value = match self.get("trained_betas") {
            None | Some(Value::Null) => return Ok(None),
            Some(value) => value,
        };
        let beta = |v: &Value| v.as_f64().filter(|b| (0.0..=1.0).contains(b)).map(|b| b as f32);
        let betas = value.as_array().and_then(|list| list.iter().map(beta).collect::<Option<Vec<_>>>());
        betas.filter(|list| list.len() == expected).map(Some).ok_or_else(|| {
            let supported =
                format!("null or a list of `num_train_timesteps` = {expected} numbers from 0 to 1");
            self.refuse("trained_betas", value, supported)
        })
    }

    fn clip(&self) -> Result<Clip, SamplerError> {
        if self.flag("thresholding", false)? {
            return Ok(Clip::Dynamic {
                ratio: self.real("dynamic_thresholding_ratio", 0.995, 0.0..=1.0)?,
                max: self.real("sample_max_value", 1.0, f64::MIN_POSITIVE..=f64::MAX)?,
            });
        }
        let clips_by_default =
            matches!(self.kind, SamplerKind::Ddim | SamplerKind::DdimInverse | SamplerKind::Ddpm);
        if !self.flag("clip_sample", clips_by_default)? {
            return Ok(Clip::Off);
        }
        Ok(Clip::Range(self.real("clip_sample_range", 1.0, f64::MIN_POSITIVE..=f64::MAX)?))
    }

    /// DDPM's own; `null`, which DPM-Solver++ writes, is what diffusers computes for it.
    fn variance(&self) -> Result<Variance, SamplerError> {
        match self.get("variance_type") {
            Some(value) if self.kind == SamplerKind::Ddpm && !value.is_null() => {
                self.choice("variance_type", Variance::FixedSmall, &VARIANCES)
            }
            _ => Ok(Variance::FixedSmall),
        }
    }

    fn lambda_min_clipped(&self) -> Result<f64, SamplerError> {
        const FIELD: &str = "lambda_min_clipped";
        match self.get(FIELD) {
            None => Ok(f64::NEG_INFINITY),
            Some(value) if value.as_str() == Some("-Infinity") => Ok(f64::NEG_INFINITY),
            Some(value) => value
                .as_f64()
                .filter(|lambda| lambda.is_finite())
                .ok_or_else(|| self.refuse(FIELD, value, "a number or -Infinity")),
        }
    }

    /// Methods of the same diffusers classes that are not here: better an error than another image.
    fn refuse_other_methods(&self) -> Result<(), SamplerError> {
        for field in ["use_exponential_sigmas", "use_beta_sigmas", "use_lu_lambdas", "use_flow_sigmas"] {
            if self.flag(field, false)? {
                return Err(self.refuse(field, &Value::Bool(true), "false only; try `use_karras_sigmas`"));
            }
        }
        self.choice("timestep_type", (), &[("discrete", ())])?;
        // diffusers reads "deis", another solver's type, as "dpmsolver++".
        self.choice("algorithm_type", (), &[("dpmsolver++", ()), ("deis", ())])?;
        if self.kind == SamplerKind::DpmSolverMultistep
            && let Some(value) = self.get("variance_type")
            && matches!(value.as_str(), Some("learned" | "learned_range"))
        {
            return Err(self.refuse("variance_type", value, "fixed variances only"));
        }
        Ok(())
    }
}
