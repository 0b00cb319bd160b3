//! Development tasks of the workspace: `cargo xtask <command>`, listed by `cargo xtask --help`.
//!
//! Nothing here links LibTorch, because `setup` has to run before LibTorch is there.

mod bench;
mod blender;
mod command;
mod deny;
mod goldens;
mod processes;
mod services;
mod setup;
mod test;
mod tidy;
mod venv;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;
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
    /// Start and stop private PostgreSQL, RabbitMQ and Redis servers for tests
    Services(services::Args),
    /// Measure ours against others, or against itself
    Bench(bench::Args),
    /// Kill, freeze and restart everything for a while, and count what was lost or doubled
    Chaos(processes::Args),
    /// Edit rendered images in bulk with the shipped model, kill the server half way, and judge the results
    Demo(processes::Args),
    /// Compare Blender's pictures of scenes with the ray caster's
    Blender(blender::Args),
}

fn done(outcome: Result<()>) -> Result<ExitCode> {
    outcome.map(|()| ExitCode::SUCCESS)
}

fn main() -> ExitCode {
    let outcome = Workspace::locate().and_then(|workspace| match Cli::parse().task {
        Task::Services(args) => services::run(&args, &workspace),
        Task::Chaos(args) => processes::run("retouch-chaos", &args, &workspace),
        Task::Demo(args) => processes::demo(&args, &workspace),
        Task::Setup(args) => done(setup::run(&args, &workspace)),
        Task::Tidy => done(tidy::run(&workspace)),
        Task::Test(args) => done(test::run(&args, &workspace)),
        Task::Goldens(args) => done(goldens::run(&args, &workspace)),
        Task::Bench(args) => bench::run(&args, &workspace),
        Task::Blender(args) => done(blender::run(&args, &workspace)),
    });
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
