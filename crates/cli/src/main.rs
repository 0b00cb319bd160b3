//! `retouch`: the command line. It never loads LibTorch; engine commands run in the sibling `retouch-engine`.

mod client;
mod evaluate;
mod operations;
mod scenes;

use std::ffi::OsString;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use clap::{CommandFactory, Parser};
use clap_complete::Shell;
use retouch_cli::services::{api, keys, scheduler, up, worker};
use retouch_cli::settings::SettingsArgs;

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
    /// Run everything in this process: API, scheduler and workers; until SIGTERM or Ctrl-C
    ///
    /// Needs nothing installed: jobs are in a SQLite file and images in a folder, both in retouch-data, unless the settings
    /// say otherwise. Prints the URL and a key. Exit status: 0 told to stop, 2 wrong usage or settings, 69 a backend cannot
    /// be used.
    Up(up::UpArgs),
    /// Serve the HTTP API on the configured backends; until SIGTERM
    ///
    /// Exit status: as `retouch scheduler`.
    Api(api::ApiArgs),
    /// Run the jobs of a pool; until SIGTERM, then hand over what is not finished
    ///
    /// Exit status: as `retouch scheduler`, and 1 if the device is beyond repair: start it again.
    Worker(worker::WorkerArgs),
    /// Make, list and revoke API keys, in the database itself
    ///
    /// Exit status: 0 done, 2 wrong usage or settings, 69 the database cannot be used.
    #[command(subcommand)]
    Key(keys::Keys),
    /// Hand out the jobs of the configured store, and mend what died, expired or was lost; until SIGTERM
    ///
    /// Any number of schedulers may run on one store. Exit status: 0 told to stop, 2 wrong usage or settings, 69 a backend
    /// cannot be used.
    Scheduler(SettingsArgs),
    #[command(flatten)]
    Client(client::Client),
    #[command(flatten)]
    Operations(operations::Operations),
    /// Print what makes a shell complete this command's arguments: `source <(retouch completions bash)`
    Completions {
        /// The shell
        shell: Shell,
    },
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
        Cli::Up(_) if cfg!(feature = "engine") => engine(&own_arguments()),
        Cli::Up(args) => up::run(&args, None),
        Cli::Api(args) => api::run(&args),
        Cli::Worker(args) => match args.edits() {
            Ok(true) => engine(&own_arguments()),
            Ok(false) => worker::run(&args, None),
            Err(failure) => failure.report(args.json()),
        },
        Cli::Key(command) => keys::run(&command),
        Cli::Scheduler(args) => scheduler::run(&args),
        Cli::Client(command) => client::run(&command),
        Cli::Operations(command) => operations::run(&command),
        Cli::Completions { shell } => completions(shell),
    }
}

fn completions(shell: Shell) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "retouch", &mut script);
    match std::io::stdout().write_all(&script) {
        Ok(()) => ExitCode::SUCCESS,
        // Where nobody reads any more.
        Err(_) => ExitCode::FAILURE,
    }
}

fn own_arguments() -> Vec<OsString> {
    std::env::args_os().skip(1).collect()
}

/// How long LibTorch's threads look for work before they sleep, in turns of a loop.
const SPINS: &str = "GOMP_SPINCOUNT";
/// libgomp's own 300,000 waste what another process could compute with: with one that is busy on one of two cores, an edit
/// of 128 × 128 pixels took 30 times as long as with 1,000. Where nothing else runs, fewer than this cost some percent.
const FEW_SPINS: &str = "2000";

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
    let mut command = Command::new(&path);
    if ["OMP_WAIT_POLICY", SPINS].iter().all(|name| std::env::var_os(name).is_none()) {
        command.env(SPINS, FEW_SPINS);
    }
    let error = command.args(arguments).exec();
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
