//! Reads single fields of a config for one sampler: the values each class takes, and its defaults.

use std::ops::RangeInclusive;

use serde_json::Value;

use super::settings::{
    BetaSchedule, Clip, FinalSigma, Interpolation, Prediction, SolverType, Spacing, Variance,
};
use super::{SamplerConfig, SamplerError, SamplerKind};

pub(super) const BETA_SCHEDULES: [(&str, BetaSchedule); 3] = [
    ("linear", BetaSchedule::Linear),
    ("scaled_linear", BetaSchedule::ScaledLinear),
    ("squaredcos_cap_v2", BetaSchedule::SquaredCosine),
];

/// diffusers has `fixed_large_log` too, but takes the root of a negative logarithm there: every sample is
/// NaN.
const VARIANCES: [(&str, Variance); 3] = [
    ("fixed_small", Variance::Small),
    ("fixed_small_log", Variance::SmallLog),
    ("fixed_large", Variance::Large),
];

pub(super) const FINAL_SIGMAS: [(&str, FinalSigma); 2] =
    [("zero", FinalSigma::Zero), ("sigma_min", FinalSigma::SigmaMin)];

pub(super) const INTERPOLATIONS: [(&str, Interpolation); 2] =
    [("linear", Interpolation::Linear), ("log_linear", Interpolation::LogLinear)];

/// The last three are other solvers' types, which DPM-Solver++ takes for `midpoint`, as in diffusers.
pub(super) const SOLVER_TYPES: [(&str, SolverType); 5] = [
    ("midpoint", SolverType::Midpoint),
    ("heun", SolverType::Heun),
    ("logrho", SolverType::Midpoint),
    ("bh1", SolverType::Midpoint),
    ("bh2", SolverType::Midpoint),
];

pub(super) fn predictions(kind: SamplerKind) -> &'static [(&'static str, Prediction)] {
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

pub(super) fn spacings(kind: SamplerKind) -> &'static [(&'static str, Spacing)] {
    const ALL: [(&str, Spacing); 3] =
        [("leading", Spacing::Leading), ("trailing", Spacing::Trailing), ("linspace", Spacing::Linspace)];
    if kind == SamplerKind::DdimInverse { &ALL[..2] } else { &ALL }
}

pub(super) fn default_spacing(kind: SamplerKind) -> Spacing {
    match kind {
        SamplerKind::Euler | SamplerKind::EulerAncestral | SamplerKind::DpmSolverMultistep => {
            Spacing::Linspace
        }
        _ => Spacing::Leading,
    }
}

/// Reads single fields of a config for one sampler.
pub(super) struct Reader<'a> {
    pub(super) config: &'a SamplerConfig,
    pub(super) kind: SamplerKind,
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
    pub(super) fn flag(&self, field: &str, default: bool) -> Result<bool, SamplerError> {
        match self.get(field) {
            None => Ok(default),
            Some(Value::Null) => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(other) => Err(self.refuse(field, other, "true or false")),
        }
    }

    pub(super) fn choice<T: Copy>(
        &self,
        field: &str,
        default: T,
        choices: &[(&str, T)],
    ) -> Result<T, SamplerError> {
        let Some(value) = self.get(field) else { return Ok(default) };
        let chosen = choices.iter().find(|(name, _)| value.as_str() == Some(name));
        chosen.map(|(_, choice)| *choice).ok_or_else(|| {
            let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
            self.refuse(field, value, names.join(", "))
        })
    }

    pub(super) fn count(
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

    pub(super) fn real(
        &self,
        field: &str,
        default: f64,
        range: RangeInclusive<f64>,
    ) -> Result<f64, SamplerError> {
        let Some(value) = self.get(field) else { return Ok(default) };
        value.as_f64().filter(|real| range.contains(real)).ok_or_else(|| {
            let supported = match *range.end() {
                f64::MAX => format!("a finite number from {}", range.start()),
                end => format!("a number from {} to {end}", range.start()),
            };
            self.refuse(field, value, supported)
        })
    }

    pub(super) fn optional_real(
        &self,
        field: &str,
        range: RangeInclusive<f64>,
    ) -> Result<Option<f64>, SamplerError> {
        match self.get(field) {
            None | Some(Value::Null) => Ok(None),
            Some(_) => self.real(field, 0.0, range).map(Some),
        }
    }

    pub(super) fn trained_betas(&self, expected: usize) -> Result<Option<Vec<f32>>, SamplerError> {
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

    pub(super) fn clip(&self) -> Result<Clip, SamplerError> {
        if self.flag("thresholding", false)? {
            return Ok(Clip::Dynamic {
                ratio: self.real("dynamic_thresholding_ratio", 0.995, 0.0..=1.0)?,
                max: self.real("sample_max_value", 1.0, 0.0..=f64::MAX)?,
            });
        }
        let clips_by_default =
            matches!(self.kind, SamplerKind::Ddim | SamplerKind::DdimInverse | SamplerKind::Ddpm);
        if !self.flag("clip_sample", clips_by_default)? {
            return Ok(Clip::Off);
        }
        Ok(Clip::Range(self.real("clip_sample_range", 1.0, 0.0..=f64::MAX)?))
    }

    /// DDPM's own; `null`, which DPM-Solver++ writes, is what diffusers computes for it.
    pub(super) fn variance(&self) -> Result<Variance, SamplerError> {
        match self.get("variance_type") {
            Some(value) if self.kind == SamplerKind::Ddpm && !value.is_null() => {
                self.choice("variance_type", Variance::Small, &VARIANCES)
            }
            _ => Ok(Variance::Small),
        }
    }

    pub(super) fn lambda_min_clipped(&self) -> Result<f64, SamplerError> {
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
    pub(super) fn refuse_other_methods(&self) -> Result<(), SamplerError> {
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
