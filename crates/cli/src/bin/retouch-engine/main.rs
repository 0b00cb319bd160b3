//! `retouch-engine`: one edit, one generation, a look at a model, a training, an evaluation, or a worker.

mod args;
mod create;
mod editor;
mod evaluate;
mod failure;
mod info;
mod report;
mod tensors;
mod train;
mod write;

use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

use args::{Cli, Command};
use failure::{Blame, Failure};
use retouch_cli::services;

/// The code of errors that the arguments alone show.
const USAGE_INVALID: &str = "usage_invalid";

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    let (json, result) = match &cli.command {
        Command::Up(up) => return services::up::run(up, Some(editor::make)),
        Command::Worker(worker) => return services::worker::run(worker, Some(editor::make)),
        Command::Edit(edit) => (edit.common.json, create::edit(edit)),
        Command::Generate(generate) => (generate.common.json, create::generate(generate)),
        Command::Info(info) => (info.json, info::run(info)),
        Command::Evaluate(evaluate) => (evaluate.json, evaluate::run(evaluate)),
        Command::Train(train) => (train.json, train::run(train)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(json),
    }
}

/// Prints a usage error, or the help or version that was asked for.
fn usage(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() || error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        error.exit();
    }
    if std::env::args_os().any(|argument| argument == "--json") {
        // The first paragraph is the error; the usage and hints for a reader at a terminal follow.
        let text = error.to_string();
        let paragraph: Vec<&str> = text.lines().map(str::trim).take_while(|line| !line.is_empty()).collect();
        let message = paragraph.join(" ");
        let message = message.strip_prefix("error: ").unwrap_or(&message).to_owned();
        return Failure::new(Blame::Parameters, USAGE_INVALID, message).report(true);
    }
    // Where nobody reads any more, the exit status still tells.
    let _ = error.print();
    report::say(&format_args!("[{USAGE_INVALID}]"));
    ExitCode::from(Blame::Parameters as u8)
}
