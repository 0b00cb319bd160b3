//! Errors as they leave a program: a stable code, a sentence, an exit status.

use std::error::Error;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

#[cfg(feature = "engine")]
use retouch_diffusion::training::TrainingError;
use retouch_evaluation::SuiteError;
use retouch_imaging::ImageError;
use retouch_ports::step_engine::{EngineError, EngineErrorKind};

/// Whose fault a failure is; the values are exit statuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// The program's own.
    Program = 1,
    /// The caller's.
    Parameters = 2,
    /// A file that was named.
    File = 3,
    /// The model.
    Model = 4,
    /// The machine's memory.
    Memory = 5,
    /// This installation lacks what the command needs.
    Installation = 69,
}

/// Why a command ends without a result.
#[derive(Debug)]
pub struct Failure {
    blame: Blame,
    code: &'static str,
    message: String,
}

impl Failure {
    /// A failure with its stable code and a sentence that says what to do.
    pub fn new(blame: Blame, code: &'static str, message: String) -> Self {
        Self { blame, code, message }
    }

    /// A file that cannot be read or written.
    pub fn file(operation: &str, path: &Path, error: &dyn Error) -> Self {
        let message = format!("cannot {operation} {}: {}", path.display(), chain(error));
        Self::new(Blame::File, "file_inaccessible", message)
    }

    /// An image that cannot be used, read from or written to `path`.
    pub fn image(path: &Path, error: &ImageError) -> Self {
        let blame = if error.code() == "size_invalid" { Blame::Parameters } else { Blame::File };
        Self::new(blame, error.code(), format!("{}: {}", path.display(), chain(error)))
    }

    /// Prints the failure, to standard output as JSON or to standard error as text.
    pub fn report(&self, json: bool) -> ExitCode {
        if json {
            let report = serde_json::json!({ "error": { "code": self.code, "message": self.message } });
            // Where nobody reads any more, the exit status still tells.
            let _ = writeln!(std::io::stdout(), "{report}");
        } else {
            say(&format_args!("error: {} [{}]", self.message, self.code));
        }
        ExitCode::from(self.blame as u8)
    }
}

#[cfg(feature = "engine")]
impl From<retouch_diffusion::Error> for Failure {
    fn from(error: retouch_diffusion::Error) -> Self {
        let code = error.code();
        let blame = match code {
            _ if is_of_model(code) => Blame::Model,
            "out_of_memory" => Blame::Memory,
            "engine_failure" | "engine_panic" | "row_non_finite" => Blame::Program,
            "file_inaccessible" => Blame::File,
            _ => Blame::Parameters,
        };
        Self::new(blame, code, chain(&error))
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        let blame = match error.kind {
            _ if is_of_model(error.code) => Blame::Model,
            EngineErrorKind::Invalid => Blame::Parameters,
            EngineErrorKind::OutOfMemory => Blame::Memory,
            _ => Blame::Program,
        };
        // The source is the engine's own error, which the message already quotes; what lies behind it is news.
        let deeper =
            error.source().and_then(Error::source).map(|e| format!(": {}", chain(e))).unwrap_or_default();
        Self::new(blame, error.code, format!("{}{deeper}", error.message))
    }
}

impl From<SuiteError> for Failure {
    fn from(error: SuiteError) -> Self {
        // The suite is part of the program.
        Self::new(Blame::Program, error.code(), chain(&error))
    }
}

#[cfg(feature = "engine")]
impl From<TrainingError> for Failure {
    fn from(error: TrainingError) -> Self {
        let blame = match error {
            TrainingError::Engine(error) => return error.into(),
            TrainingError::Recipe { .. }
            | TrainingError::OtherRecipe { .. }
            | TrainingError::StageMissing { .. } => Blame::Parameters,
            TrainingError::State { .. }
            | TrainingError::Data { .. }
            | TrainingError::NoExamples
            | TrainingError::File { .. } => Blame::File,
            TrainingError::Diverged { .. } => Blame::Program,
        };
        Self::new(blame, error.code(), chain(&error))
    }
}

/// Whether a code names a fault in a file of the model. Unknown samplers are: of those in arguments, only known ones pass.
fn is_of_model(code: &str) -> bool {
    code.starts_with("model_")
        || code.starts_with("sampler_config_")
        || code.starts_with("sampler_degenerate_")
        || code == "sampler_unknown"
}

/// An error and all its causes in one line.
pub fn chain(error: &dyn Error) -> String {
    let causes = std::iter::successors(error.source(), |e| (*e).source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// One line or more to standard output, whose reader may have gone.
pub fn print(text: &dyn std::fmt::Display) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{text}")
        .and_then(|()| stdout.flush())
        .map_err(|error| Failure::file("write", Path::new("standard output"), &error))
}

/// One line to standard error. Where nobody reads it any more, the work goes on.
pub fn say(text: &dyn std::fmt::Display) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
