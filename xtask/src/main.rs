//! Development tasks of the workspace: `cargo xtask <command>`, listed by `cargo xtask --help`.
//!
//! Nothing here links LibTorch, because `setup` has to run before LibTorch is there.

mod bench;
mod command;
mod deny;
mod goldens;
mod setup;
mod test;
mod tidy;
mod venv;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::workspace::Workspace;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Development tasks of retouch")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Bring LibTorch 2.11.0, which everything that runs a model links
    Setup(setup::Args),
    /// Check the rules of the workspace that no compiler knows
    Tidy,
    /// Run every check and every test, and say how long each part took
    Test(test::Args),
    /// Run the reference scripts again and compare with the committed goldens
    Goldens(goldens::Args),
    /// Measure ours against the reference implementation
    Bench(bench::Args),
}

fn main() -> ExitCode {
    let outcome = Workspace::locate().and_then(|workspace| match Cli::parse().task {
        Task::Setup(args) => setup::run(&args, &workspace),
        Task::Tidy => tidy::run(&workspace),
        Task::Test(args) => test::run(&args, &workspace),
        Task::Goldens(args) => goldens::run(&args, &workspace),
        Task::Bench(args) => bench::run(&args, &workspace),
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
