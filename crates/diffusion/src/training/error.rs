//! What can go wrong in a training, each kind with a stable code.

use std::path::{Path, PathBuf};

/// Result of a training's operations.
pub type Result<T, E = TrainingError> = std::result::Result<T, E>;

/// An error of a training.
#[derive(Debug, thiserror::Error)]
pub enum TrainingError {
    /// The recipe cannot be used.
    #[error("recipe {}: {reason}", path.display())]
    Recipe {
        /// The file.
        path: PathBuf,
        /// What is wrong, where, and what is possible.
        reason: String,
    },
    /// The work folder belongs to another recipe.
    #[error("{} was begun with another recipe; use another folder, or the recipe that is in it", folder.display())]
    OtherRecipe {
        /// The work folder.
        folder: PathBuf,
    },
    /// A stage needs the result of one that has not finished.
    #[error("stage `{stage}` needs the finished stage `{needs}`: run that first, or all stages")]
    StageMissing {
        /// The stage that was asked for.
        stage: &'static str,
        /// The stage whose result it needs.
        needs: &'static str,
    },
    /// The state of an interrupted training cannot be read.
    #[error("{} is no usable state of this training: {reason}", path.display())]
    State {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// There is nothing to learn from.
    #[error("there are no examples to train with")]
    NoExamples,
    /// Too many examples are unusable.
    #[error("{bad} of {seen} examples are unusable, more than {limit}; the last was {last}")]
    Data {
        /// Unusable examples.
        bad: u64,
        /// Examples asked for.
        seen: u64,
        /// Unusable examples that are tolerated.
        limit: u64,
        /// The last unusable one, and why.
        last: String,
    },
    /// The loss stayed infinite or not a number.
    #[error(
        "the gradients of {count} steps in a row were not finite, the last at step {step}: lower the learning rate"
    )]
    Diverged {
        /// Steps that were left out, one after the other.
        count: u64,
        /// The last of them.
        step: u64,
    },
    /// A file cannot be read or written.
    #[error("cannot {operation} {}", path.display())]
    File {
        /// "read" or "write".
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] crate::Error),
}

impl TrainingError {
    /// A stable, machine-readable name of the kind of error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Recipe { .. } => "recipe_invalid",
            Self::OtherRecipe { .. } => "recipe_changed",
            Self::StageMissing { .. } => "stage_missing",
            Self::State { .. } => "training_state_invalid",
            Self::NoExamples => "training_data_empty",
            Self::Data { .. } => "training_data_unusable",
            Self::Diverged { .. } => "training_diverged",
            Self::File { .. } => "file_inaccessible",
            Self::Engine(error) => error.code(),
        }
    }

    pub(super) fn read(path: &Path, source: std::io::Error) -> Self {
        Self::File { operation: "read", path: path.to_owned(), source }
    }

    pub(super) fn write(path: &Path, source: std::io::Error) -> Self {
        Self::File { operation: "write", path: path.to_owned(), source }
    }
}

impl From<crate::samplers::SamplerError> for TrainingError {
    fn from(error: crate::samplers::SamplerError) -> Self {
        Self::Engine(error.into())
    }
}
