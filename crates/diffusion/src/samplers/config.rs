//! `scheduler_config.json` as diffusers writes it: names are checked here, values when a sampler reads them.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{SamplerError, SamplerKind};

/// The fields of a scheduler config that are present, by name.
///
/// A field counts for a sampler only if its diffusers class has it; the others stay in the config for the
/// next sampler, and what is absent has that class's default. That is how `from_config` moves a config from
/// one class to another (diffusers v0.42.1 `src/diffusers/configuration_utils.py`,
/// `ConfigMixin.extract_init_dict`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Map<String, Value>", into = "Map<String, Value>")]
pub struct SamplerConfig {
    class: Option<String>,
    fields: Map<String, Value>,
}

/// Fields of all classes that are made from a table of betas.
const BETAS: [&str; 7] = [
    "num_train_timesteps",
    "beta_start",
    "beta_end",
    "beta_schedule",
    "trained_betas",
    "prediction_type",
    "timestep_spacing",
];

const THRESHOLDING: [&str; 3] = ["thresholding", "dynamic_thresholding_ratio", "sample_max_value"];

const CLIPPING: [&str; 2] = ["clip_sample", "clip_sample_range"];

const SIGMAS: [&str; 6] = [
    "use_karras_sigmas",
    "use_exponential_sigmas",
    "use_beta_sigmas",
    "sigma_min",
    "sigma_max",
    "final_sigmas_type",
];

const DPM: [&str; 12] = [
    "solver_order",
    "algorithm_type",
    "solver_type",
    "lower_order_final",
    "euler_at_final",
    "use_lu_lambdas",
    "use_flow_sigmas",
    "flow_shift",
    "lambda_min_clipped",
    "variance_type",
    "use_dynamic_shifting",
    "time_shift_type",
];

/// Harmless: other diffusers classes of the same family write these, and none of our samplers reads them.
const OF_OTHER_CLASSES: [&str; 11] = [
    "disable_corrector",
    "noise_sampler_seed",
    "original_inference_steps",
    "predict_x0",
    "quantization_config",
    "rho",
    "shift_terminal",
    "sigma_data",
    "sigma_schedule",
    "solver_p",
    "timestep_scaling",
];

impl SamplerKind {
    /// Which fields the diffusers class of this sampler has, in groups. DPM-Solver++ has no `sigma_min` and
    /// `sigma_max` of its own, but its Karras sigmas read them when another class's config brings them along.
    fn fields(self) -> &'static [&'static [&'static str]] {
        const OFFSET: &[&str] = &["steps_offset"];
        const ZERO_SNR: &[&str] = &["steps_offset", "rescale_betas_zero_snr"];
        const ALPHA: &[&str] = &["set_alpha_to_one"];
        match self {
            Self::Ddim => &[&BETAS, &CLIPPING, &THRESHOLDING, ZERO_SNR, ALPHA],
            Self::DdimInverse => &[&BETAS, &CLIPPING, ZERO_SNR, ALPHA],
            Self::Pndm => &[&BETAS, OFFSET, ALPHA, &["skip_prk_steps"]],
            Self::Euler => &[&BETAS, ZERO_SNR, &SIGMAS, &["interpolation_type", "timestep_type"]],
            Self::EulerAncestral => &[&BETAS, ZERO_SNR],
            Self::DpmSolverMultistep => &[&BETAS, ZERO_SNR, &SIGMAS, &THRESHOLDING, &DPM],
            Self::Ddpm => &[&BETAS, &CLIPPING, &THRESHOLDING, ZERO_SNR, &["variance_type"]],
        }
    }

    fn has_field(self, name: &str) -> bool {
        self.fields().iter().any(|group| group.contains(&name))
    }
}

impl SamplerConfig {
    /// A config of one class with all its defaults.
    #[must_use]
    pub fn new(kind: SamplerKind) -> Self {
        Self { class: Some(kind.class_name().to_owned()), fields: Map::new() }
    }

    /// Reads the text of a `scheduler_config.json`, also with the tokens `NaN` and `±Infinity` that Python
    /// writes.
    ///
    /// # Errors
    /// Text that is no JSON object, and field names that no known class has.
    pub fn from_json(text: &str) -> Result<Self, SamplerError> {
        let fields: Map<String, Value> =
            serde_json::from_str(&quote_non_finite(text)).map_err(|source| SamplerError::Json { source })?;
        Self::try_from(fields)
    }

    /// Sets one field; `null` removes it. The value is checked when a sampler is made from the config.
    ///
    /// # Errors
    /// A name that no known class has.
    pub fn with(mut self, field: &str, value: impl Into<Value>) -> Result<Self, SamplerError> {
        check_name(field)?;
        match value.into() {
            Value::Null => self.fields.shift_remove(field),
            value => self.fields.insert(field.to_owned(), value),
        };
        Ok(self)
    }

    /// The sampler that the config's `_class_name` names.
    ///
    /// # Errors
    /// No class name, or one that we do not have.
    pub fn kind(&self) -> Result<SamplerKind, SamplerError> {
        let class = self.class.as_deref().ok_or(SamplerError::MissingClass)?;
        SamplerKind::of_class(class).ok_or_else(|| SamplerError::UnknownSampler { name: class.to_owned() })
    }

    /// The diffusers class that the config names, if it names one.
    pub(crate) fn class_name(&self) -> Option<&str> {
        self.class.as_deref()
    }

    /// The value of a field, if it is present and the class of `kind` has it.
    pub(super) fn field(&self, kind: SamplerKind, name: &str) -> Option<&Value> {
        if kind.has_field(name) { self.fields.get(name) } else { None }
    }
}

impl TryFrom<Map<String, Value>> for SamplerConfig {
    type Error = SamplerError;

    fn try_from(mut fields: Map<String, Value>) -> Result<Self, Self::Error> {
        let class = match fields.get("_class_name") {
            None | Some(Value::Null) => None,
            Some(Value::String(name)) => Some(name.clone()),
            Some(other) => return Err(SamplerError::UnknownSampler { name: other.to_string() }),
        };
        // A config that lives in memory lists the names that nobody set; they must not follow it into another
        // class.
        let unset = match fields.get("_use_default_values") {
            Some(Value::Array(names)) => names.clone(),
            _ => Vec::new(),
        };
        fields.retain(|name, _| !name.starts_with('_') && !unset.iter().any(|u| u == name.as_str()));
        for name in fields.keys() {
            check_name(name)?;
        }
        Ok(Self { class, fields })
    }
}

impl From<SamplerConfig> for Map<String, Value> {
    fn from(config: SamplerConfig) -> Self {
        let class = config.class.map(|name| ("_class_name".to_owned(), Value::String(name)));
        class.into_iter().chain(config.fields).collect()
    }
}

fn check_name(name: &str) -> Result<(), SamplerError> {
    let known = OF_OTHER_CLASSES.contains(&name) || SamplerKind::ALL.iter().any(|kind| kind.has_field(name));
    if known { Ok(()) } else { Err(SamplerError::UnknownField { field: name.to_owned() }) }
}

/// Puts quotes around Python's `NaN`, `Infinity` and `-Infinity`, which JSON has no token for.
fn quote_non_finite(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut in_string = false;
    while let Some(c) = rest.chars().next() {
        let token = ["-Infinity", "Infinity", "NaN"].into_iter().find(|t| !in_string && rest.starts_with(t));
        let taken = match token {
            Some(token) => {
                out.extend(["\"", token, "\""]);
                token.len()
            }
            None => {
                // An escape takes the next character along, so that `\"` does not end the string.
                let len = if in_string && c == '\\' {
                    1 + rest[1..].chars().next().map_or(0, char::len_utf8)
                } else {
                    c.len_utf8()
                };
                in_string ^= c == '"';
                out.push_str(&rest[..len]);
                len
            }
        };
        rest = &rest[taken..];
    }
    out
}
