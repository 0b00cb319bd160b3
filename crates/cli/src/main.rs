//! `retouch`: the command line. It never loads LibTorch; engine commands run in the sibling `retouch-engine`.

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use clap::Parser;

/// Exit status for a command that this installation cannot run.
const UNAVAILABLE: u8 = 69;

/// Text-instructed image editing in bulk.
#[derive(Parser)]
#[command(version, arg_required_else_help = true)]
enum Cli {
    /// Run the edit engine directly: `retouch engine edit --help`
    #[command(disable_help_flag = true)]
    Engine {
        /// Arguments of the engine.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
}

fn main() -> ExitCode {
    match Cli::parse() {
        Cli::Engine { arguments } => engine(&arguments),
    }
}

/// Becomes the engine's executable, which stands beside this one.
fn engine(arguments: &[OsString]) -> ExitCode {
    if !cfg!(feature = "engine") {
        eprintln!("error: this retouch was built without its engine; install it with the default features");
        return ExitCode::from(UNAVAILABLE);
    }
    let path = match std::env::current_exe() {
        Ok(own) => own.with_file_name("retouch-engine"),
        Err(error) => {
            eprintln!("error: cannot find the folder of this program: {error}");
            return ExitCode::from(UNAVAILABLE);
        }
    };
    let error = Command::new(&path).args(arguments).exec();
    eprintln!(
        "error: cannot start {}: {error}; build it with `cargo build --package retouch`",
        path.display()
    );
    ExitCode::from(UNAVAILABLE)
}
