//! Errors as they leave the program: a stable code, a sentence, an exit status.

use std::error::Error;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use retouch_imaging::ImageError;
use retouch_ports::step_engine::{EngineError, EngineErrorKind};

use crate::report::say;

/// Whose fault a failure is; the values are exit statuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Blame {
    Engine = 1,
    Parameters = 2,
    File = 3,
    Model = 4,
    Memory = 5,
}

/// Why the program ends without a result.
#[derive(Debug)]
pub(crate) struct Failure {
    blame: Blame,
    code: &'static str,
    message: String,
}

impl Failure {
    pub(crate) fn new(blame: Blame, code: &'static str, message: String) -> Self {
        Self { blame, code, message }
    }

    /// A file that cannot be read or written.
    pub(crate) fn file(operation: &str, path: &Path, error: &dyn Error) -> Self {
        let message = format!("cannot {operation} {}: {error}", path.display());
        Self::new(Blame::File, "file_inaccessible", message)
    }

    /// An image that cannot be used, read from or written to `path`.
    pub(crate) fn image(path: &Path, error: &ImageError) -> Self {
        let blame = if error.code() == "size_invalid" { Blame::Parameters } else { Blame::File };
        Self::new(blame, error.code(), format!("{}: {}", path.display(), chain(error)))
    }

    /// Prints the failure, to standard output as JSON or to standard error as text.
    pub(crate) fn report(&self, json: bool) -> ExitCode {
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

impl From<retouch_diffusion::Error> for Failure {
    fn from(error: retouch_diffusion::Error) -> Self {
        let code = error.code();
        let blame = match code {
            _ if is_of_model(code) => Blame::Model,
            "out_of_memory" => Blame::Memory,
            "engine_failure" | "engine_panic" | "row_non_finite" => Blame::Engine,
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
            _ => Blame::Engine,
        };
        // The source is the engine's own error, which the message already quotes; what lies behind it is news.
        let deeper =
            error.source().and_then(Error::source).map(|e| format!(": {}", chain(e))).unwrap_or_default();
        Self::new(blame, error.code, format!("{}{deeper}", error.message))
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
pub(crate) fn chain(error: &dyn Error) -> String {
    let causes = std::iter::successors(error.source(), |e| (*e).source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
