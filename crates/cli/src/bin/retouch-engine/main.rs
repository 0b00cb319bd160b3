//! `retouch-engine`: one edit, one generation, or a look at a model, for scripts and bug reports.

mod args;
mod create;
mod failure;
mod info;
mod tensors;

use std::process::ExitCode;

use clap::Parser;

use args::{Cli, Command};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let (json, result) = match &cli.command {
        Command::Edit(edit) => (edit.common.json, create::edit(edit)),
        Command::Generate(generate) => (generate.common.json, create::generate(generate)),
        Command::Info(info) => (info.json, info::run(info)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(json),
    }
}
