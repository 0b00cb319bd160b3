//! What can be wrong with a sampler's config, options, or the tensors given to a step.

use tch::TchError;

use super::SamplerKind;

/// Everything that the samplers refuse.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SamplerError {
    /// The text is not JSON, or not an object.
    #[error("scheduler config cannot be read; it must be a JSON object as in scheduler_config.json")]
    Json {
        /// What the parser says.
        #[source]
        source: serde_json::Error,
    },
    /// A field that no known sampler class has.
    #[error(
        "scheduler config has the unknown field `{field}`; check the spelling, or start it with `_` if it is a note"
    )]
    UnknownField {
        /// The field's name.
        field: String,
    },
    /// A field that the chosen sampler reads has a value that it cannot honour.
    #[error("scheduler config field `{field}` is {value}; {sampler} supports {supported}")]
    UnsupportedValue {
        /// The field's name.
        field: String,
        /// The value as JSON, shortened.
        value: String,
        /// The sampler that was asked for.
        sampler: SamplerKind,
        /// The values that would do.
        supported: String,
    },
    /// Neither a sampler's name nor a scheduler class that we have.
    #[error("there is no sampler `{name}`; choose one of {}", SamplerKind::names())]
    UnknownSampler {
        /// The name or class name.
        name: String,
    },
    /// The config names no class, and the options name no sampler.
    #[error("scheduler config has no `_class_name`; name a sampler, one of {}", SamplerKind::names())]
    MissingClass,
    /// An option that the chosen sampler does not have.
    #[error("sampler option `{option}` is {value}; {sampler} supports {supported}")]
    UnsupportedOption {
        /// The option's name.
        option: &'static str,
        /// The value given.
        value: String,
        /// The sampler that was asked for.
        sampler: SamplerKind,
        /// The values that would do.
        supported: String,
    },
    /// Too few or too many inference steps.
    #[error("{steps} inference steps are not possible with {sampler}; choose {min} to {max}")]
    Steps {
        /// The number asked for.
        steps: usize,
        /// The sampler that was asked for.
        sampler: SamplerKind,
        /// The least that works.
        min: usize,
        /// The number of training timesteps.
        max: usize,
    },
    /// Spacing and offset lead outside the training schedule.
    #[error(
        "{sampler} would visit timestep {timestep}, outside 0 to {max}; lower `steps_offset` or the step count"
    )]
    TimestepOutOfRange {
        /// The sampler that was asked for.
        sampler: SamplerKind,
        /// The timestep.
        timestep: i64,
        /// The last training timestep.
        max: usize,
    },
    /// The betas give no usable noise schedule.
    #[error("the noise schedule of {sampler} is not usable: {reason}")]
    DegenerateSchedule {
        /// The sampler that was asked for.
        sampler: SamplerKind,
        /// What is wrong, and what to change.
        reason: &'static str,
    },
    /// A step would divide by zero or take a root of a negative number.
    #[error(
        "forward {forward} of {sampler} (timestep {timestep}) has no finite coefficients; change the step count, \
         the spacing, the prediction type (a zero terminal SNR needs `v_prediction`) or the betas"
    )]
    DegenerateStep {
        /// The sampler that was asked for.
        sampler: SamplerKind,
        /// The forward, from 0.
        forward: usize,
        /// Its timestep.
        timestep: f64,
    },
    /// A forward that this sampler does not have.
    #[error("{sampler} has {evaluations} forwards; there is no forward {forward}")]
    NoSuchForward {
        /// The sampler.
        sampler: SamplerKind,
        /// The forward asked for, from 0.
        forward: usize,
        /// How many there are.
        evaluations: usize,
    },
    /// A timestep for which the sampler has no noise level.
    #[error("{sampler} has no noise level for timestep {timestep}; take one of its own timesteps")]
    NoSuchTimestep {
        /// The sampler.
        sampler: SamplerKind,
        /// The timestep.
        timestep: f64,
    },
    /// The step adds noise, and none was given.
    #[error("forward {forward} of {sampler} needs a noise tensor; draw one per `noise_index`")]
    MissingNoise {
        /// The sampler.
        sampler: SamplerKind,
        /// The forward, from 0.
        forward: usize,
    },
    /// A tensor of another shape or kind than the sample.
    #[error("{argument} is {got}; expected {expected}")]
    TensorMismatch {
        /// Which argument.
        argument: &'static str,
        /// Its shape and kind.
        got: String,
        /// What was expected.
        expected: String,
    },
    /// An exported state that does not belong to this sampler, or is not whole.
    #[error("sampler state cannot be imported: {reason}; start the row at step 0")]
    Import {
        /// What does not fit.
        reason: String,
    },
    /// LibTorch refused an operation.
    #[error("tensor operation failed in {operation}")]
    Tensor {
        /// What was being computed.
        operation: &'static str,
        /// LibTorch's own error.
        #[source]
        source: TchError,
    },
}

impl SamplerError {
    /// A stable code for clients; one per variant.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Json { .. } => "sampler_config_json",
            Self::UnknownField { .. } => "sampler_config_unknown_field",
            Self::UnsupportedValue { .. } => "sampler_config_unsupported_value",
            Self::UnknownSampler { .. } => "sampler_unknown",
            Self::MissingClass => "sampler_config_no_class",
            Self::UnsupportedOption { .. } => "sampler_unsupported_option",
            Self::Steps { .. } => "sampler_steps",
            Self::TimestepOutOfRange { .. } => "sampler_timestep_out_of_range",
            Self::DegenerateSchedule { .. } => "sampler_degenerate_schedule",
            Self::DegenerateStep { .. } => "sampler_degenerate_step",
            Self::NoSuchForward { .. } => "sampler_no_such_forward",
            Self::NoSuchTimestep { .. } => "sampler_no_such_timestep",
            Self::MissingNoise { .. } => "sampler_missing_noise",
            Self::TensorMismatch { .. } => "sampler_tensor_mismatch",
            Self::Import { .. } => "sampler_import",
            Self::Tensor { .. } => "sampler_tensor",
        }
    }

    /// Names the computation in which LibTorch failed.
    pub(super) fn tensor(operation: &'static str) -> impl FnOnce(TchError) -> Self {
        move |source| Self::Tensor { operation, source }
    }
}
