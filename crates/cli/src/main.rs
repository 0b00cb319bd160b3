//! `retouch`: the command line. It never loads LibTorch; engine commands run in the sibling `retouch-engine`.

mod evaluate;
mod failure;
mod operations;
mod scenes;
mod scheduler;

use std::ffi::OsString;
use std::io::Write;
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
    /// Train the networks of a recipe: `retouch train --help`
    #[command(disable_help_flag = true)]
    Train {
        /// Arguments of the training.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// How well a model edits: `retouch evaluate spatial --model models/retouch-scenes --output results`
    #[command(subcommand)]
    Evaluate(evaluate::Evaluate),
    /// Edit pairs of rendered scenes, with the truth about them: `retouch scenes preview --output sheet.png`
    #[command(subcommand)]
    Scenes(scenes::Scenes),
    /// Hand out the jobs of the configured store, and mend what died, expired or was lost; until SIGTERM
    ///
    /// Any number of schedulers may run on one store. Exit status: 0 told to stop, 2 wrong usage or settings, 69 a backend
    /// cannot be used.
    Scheduler(operations::SettingsArgs),
    #[command(flatten)]
    Operations(operations::Operations),
}

fn main() -> ExitCode {
    match Cli::parse() {
        Cli::Engine { arguments } => engine(&arguments),
        Cli::Train { mut arguments } => {
            arguments.insert(0, "train".into());
            engine(&arguments)
        }
        Cli::Evaluate(evaluate::Evaluate::Detector(args)) => evaluate::detector(&args),
        Cli::Evaluate(evaluate::Evaluate::Spatial { mut arguments }) => {
            arguments.insert(0, "evaluate".into());
            engine(&arguments)
        }
        Cli::Scenes(command) => scenes::run(&command),
        Cli::Scheduler(args) => scheduler::run(&args),
        Cli::Operations(command) => operations::run(&command),
    }
}

/// Becomes the engine's executable, which stands beside this one.
fn engine(arguments: &[OsString]) -> ExitCode {
    if !cfg!(feature = "engine") {
        return unavailable(
            "this retouch was built without its engine; \
             build it again with the feature `engine`, which is on by default and needs LibTorch",
        );
    }
    let path = match std::env::current_exe() {
        Ok(own) => own.with_file_name("retouch-engine"),
        Err(error) => return unavailable(&format!("cannot find the folder of this program: {error}")),
    };
    let error = Command::new(&path).args(arguments).exec();
    unavailable(&format!(
        "cannot start {}: {error}; install retouch-engine beside retouch, `cargo build --package retouch` makes both",
        path.display()
    ))
}

fn unavailable(message: &str) -> ExitCode {
    // Where nobody reads any more, the exit status still tells.
    let _ = writeln!(std::io::stderr(), "error: {message} [engine_unavailable]");
    ExitCode::from(UNAVAILABLE)
}
