//! Why there is no suite.

use retouch_scenes::{Kind, Level, SceneError};

/// An error of a suite. [`SuiteError::code`] is for programs.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SuiteError {
    /// The file of a suite is not of its form.
    #[error("the file of the suite cannot be used, its form is that of suite/spatial-v1.toml")]
    Spec {
        /// Where and why.
        #[source]
        source: Box<toml::de::Error>,
    },

    /// No edit came of the seeds of a case.
    #[error("no edit of kind {kind:?} at level {level:?} came of the seeds of case {case}, ask for fewer")]
    Exhausted {
        /// The case.
        case: u32,
        /// What was to be sampled.
        kind: Kind,
        /// How hard.
        level: Level,
    },

    /// A result of another size than the suite's images.
    #[error(
        "the result of case {case} has {width}x{height} pixels, results of this suite have {size}x{size}"
    )]
    ImageSize {
        /// The case.
        case: u32,
        /// Its width.
        width: u32,
        /// Its height.
        height: u32,
        /// Of the suite.
        size: u32,
    },

    /// A scene of a case that cannot be rendered.
    #[error("a scene of case {case} cannot be rendered")]
    Scene {
        /// The case.
        case: u32,
        /// Why.
        #[source]
        source: SceneError,
    },
}

impl SuiteError {
    /// A stable code for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Spec { .. } => "suite_file_invalid",
            Self::Exhausted { .. } => "suite_exhausted",
            Self::ImageSize { .. } => "result_size_invalid",
            Self::Scene { source, .. } => source.code(),
        }
    }
}
