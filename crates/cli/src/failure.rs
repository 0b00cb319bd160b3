//! Errors as they leave a program: a stable code, a sentence, an exit status; as `retouch engine` has them.

use std::borrow::Cow;
use std::error::Error;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

/// Whose fault a failure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// The program's own.
    Program,
    /// The caller's.
    Parameters,
    /// A file that was named.
    File,
    /// The server does not answer, or not as it should.
    Server,
    /// The API key is not accepted.
    Key,
    /// This installation lacks what the command needs.
    Installation,
}

impl Blame {
    /// The exit status.
    pub const fn status(self) -> u8 {
        match self {
            Self::Program => 1,
            Self::Parameters => 2,
            Self::File | Self::Server => 3,
            Self::Key => 4,
            Self::Installation => 69,
        }
    }
}

/// Why a command ends without a result.
#[derive(Debug)]
pub struct Failure {
    blame: Blame,
    code: Cow<'static, str>,
    message: String,
}

impl Failure {
    /// A failure with its stable code and a sentence that says what to do.
    pub fn new(blame: Blame, code: impl Into<Cow<'static, str>>, message: String) -> Self {
        Self { blame, code: code.into(), message }
    }

    /// The stable code.
    pub fn code(&self) -> &str {
        &self.code
    }

    /// The same failure, with what it is about in front.
    #[must_use]
    pub fn about(self, what: &dyn std::fmt::Display) -> Self {
        if self.message.contains(&what.to_string()) {
            return self;
        }
        Self { message: format!("{what}: {}", self.message), ..self }
    }

    /// A file that cannot be read or written.
    pub fn file(operation: &str, path: &Path, error: &dyn Error) -> Self {
        let message = format!("cannot {operation} {}: {}", path.display(), chain(error));
        Self::new(Blame::File, "file_inaccessible", message)
    }

    /// Prints the failure, to standard output as JSON or to standard error as text.
    pub fn report(&self, json: bool) -> ExitCode {
        // Where nobody reads any more, the exit status still tells.
        if json {
            let report = serde_json::json!({ "error": { "code": self.code, "message": self.message } });
            let _ = writeln!(std::io::stdout(), "{report}");
        } else {
            let _ = writeln!(std::io::stderr(), "error: {} [{}]", self.message, self.code);
        }
        ExitCode::from(self.blame.status())
    }
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
