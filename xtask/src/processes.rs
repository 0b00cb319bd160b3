//! `cargo xtask chaos` and `cargo xtask bench queue`: programs of `tests/` that start processes of ours, on servers of
//! their own. `cargo xtask demo` and `cargo xtask bench worker`: examples, which need no server.

use std::ffi::OsString;
use std::process::{Command, ExitCode};

use anyhow::{Result, bail};

use crate::command;
use crate::services::Services;
use crate::setup;
use crate::workspace::Workspace;

/// Options of the program; `--help` lists them.
#[derive(clap::Args)]
#[command(disable_help_flag = true)]
pub(crate) struct Args {
    /// Handed to the program
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    options: Vec<OsString>,
}

/// Builds a program and what it starts, and runs it.
pub(crate) fn run(program: &str, args: &Args, workspace: &Workspace) -> Result<ExitCode> {
    // The whole workspace is selected, so that what `cargo xtask test` has built is used.
    let bins = ["--workspace", "--bin", "retouch-node", "--bin", program];
    command::run(workspace.cargo().arg("build").args(bins))?;
    let services = Services::for_run(workspace)?;
    let mut call = Command::new(workspace.target_dir()?.join("debug").join(program));
    call.args(&args.options).envs(services.environment().iter().cloned());
    let code = ended(&mut call);
    drop(services);
    code
}

/// Sets up, builds `retouch`, and runs the demonstration.
pub(crate) fn demo(args: &Args, workspace: &Workspace) -> Result<ExitCode> {
    setup::run(&setup::Args::default(), workspace)?;
    let bins = ["build", "--release", "--package", "retouch", "--bins"];
    command::run(workspace.cargo().args(bins))?;
    example("retouch", "demo", args, workspace)
}

/// Builds an example, optimised, and runs it.
pub(crate) fn example(package: &str, name: &str, args: &Args, workspace: &Workspace) -> Result<ExitCode> {
    let example = ["build", "--release", "--package", package, "--example", name];
    command::run(workspace.cargo().args(example))?;
    let program = workspace.target_dir()?.join("release/examples").join(name);
    ended(Command::new(program).args(&args.options).current_dir(workspace.root()))
}

/// Runs a program; its exit status.
fn ended(call: &mut Command) -> Result<ExitCode> {
    let status = command::status(call)?;
    match status.code() {
        Some(0) => Ok(ExitCode::SUCCESS),
        Some(code) => Ok(ExitCode::from(u8::try_from(code).unwrap_or(1))),
        None => bail!("`{}` ended with {status}", command::line(call)),
    }
}
