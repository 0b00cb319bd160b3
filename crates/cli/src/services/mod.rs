//! The services as commands run them: settings become options, URLs become backends.

pub mod api;
pub mod keys;
pub mod scheduler;
pub mod up;
pub mod worker;

use std::io::stderr;
use std::process::ExitCode;

use retouch_bootstrap::{Settings, backends};
use retouch_ports::Ports;
use tokio::runtime::{Builder, Runtime};
use tokio_util::sync::CancellationToken;

use crate::failure::{Blame, Failure, chain};
use crate::settings::{SettingsArgs, process, unusable};

/// Runs a service until SIGTERM or Ctrl-C, or until it ends by itself. Its log goes to standard error.
fn until_told(
    args: &SettingsArgs,
    service: impl AsyncFnOnce(Settings, CancellationToken) -> Result<(), Failure>,
) -> ExitCode {
    let serve = || {
        tracing_subscriber::fmt().with_writer(stderr).init();
        let settings = args.load()?;
        let stop = CancellationToken::new();
        let told = stop.clone();
        ctrlc::set_handler(move || told.cancel()).map_err(|error| unavailable(&error))?;
        let runtime = runtime()?;
        let served = runtime.block_on(service(settings, stop));
        // What still blocks a thread is left to the end of the process.
        runtime.shutdown_background();
        served
    };
    match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(args.json),
    }
}

fn runtime() -> Result<Runtime, Failure> {
    Builder::new_multi_thread().enable_all().build().map_err(|error| unavailable(&error))
}

fn unavailable(error: &dyn std::error::Error) -> Failure {
    Failure::new(Blame::Program, "runtime_unavailable", chain(error))
}

async fn connect(settings: &Settings) -> Result<Ports, Failure> {
    backends::connect(settings, &process()).await.map_err(|error| unusable(&error))
}

/// A setting that cannot be used.
pub fn wrong(setting: &str, problem: &dyn std::fmt::Display) -> Failure {
    Failure::new(Blame::Parameters, "settings_invalid", format!("{setting}: {problem}"))
}

/// The queue inside a process reaches nobody outside it.
fn shared_queue(settings: &Settings, service: &str) -> Result<(), Failure> {
    if settings.queue.url.scheme() == "local" {
        let problem = format!(
            "\"local:\" is inside one process, and `retouch {service}` is one of several; \
             use `retouch up`, or an amqp: URL"
        );
        return Err(wrong("[queue] url", &problem));
    }
    Ok(())
}
