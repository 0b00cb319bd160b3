//! Errors as they leave a program: a stable code, a sentence, an exit status; as `retouch engine` has them.

use std::error::Error;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

/// Whose fault a failure is; the values are exit statuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// The program's own.
    Program = 1,
    /// The caller's.
    Parameters = 2,
    /// A file that was named.
    File = 3,
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

    /// Prints the failure, to standard output as JSON or to standard error as text.
    pub fn report(&self, json: bool) -> ExitCode {
        // Where nobody reads any more, the exit status still tells.
        if json {
            let report = serde_json::json!({ "error": { "code": self.code, "message": self.message } });
            let _ = writeln!(std::io::stdout(), "{report}");
        } else {
            let _ = writeln!(std::io::stderr(), "error: {} [{}]", self.message, self.code);
        }
        ExitCode::from(self.blame as u8)
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
