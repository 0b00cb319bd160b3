//! `retouch doctor`: whether every configured backend can be used, and what to do if not.

use std::process::ExitCode;
use std::time::Duration;

use retouch_bootstrap::backends::{self, Process};
use retouch_bootstrap::{BackendError, BackendUrl, Settings, stores};
use retouch_ports::PortError;
use serde_json::json;

use retouch_cli::failure::{Blame, Failure, chain, print};
use retouch_cli::settings::{SettingsArgs, process};

/// How long a backend may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is wrong: a code, and a sentence that says what to do.
type Trouble = (&'static str, String);

pub(super) async fn run(args: &SettingsArgs) -> Result<ExitCode, Failure> {
    let settings = args.load()?;
    let process = process();
    let checks = [
        ("store", &settings.store.url, soon(store(&settings, &process)).await),
        ("queue", &settings.queue.url, soon(queue(&settings, &process)).await),
        ("blobs", &settings.blobs.url, soon(blobs(&settings, &process)).await),
        ("live", &settings.live.url, soon(live(&settings, &process)).await),
    ];
    let sound = checks.iter().all(|(_, _, check)| check.is_ok());
    if args.json {
        let report = |(section, url, check): &(&str, &BackendUrl, Result<(), Trouble>)| match check {
            Ok(()) => json!({ "section": section, "url": url.to_string(), "usable": true }),
            Err((code, message)) => {
                let error = json!({ "code": code, "message": message });
                json!({ "section": section, "url": url.to_string(), "usable": false, "error": error })
            }
        };
        print(&json!({ "backends": checks.iter().map(report).collect::<Vec<_>>() }))?;
    } else {
        for (section, url, check) in &checks {
            match check {
                Ok(()) => print(&format_args!("[{section}] {url} can be used"))?,
                Err((code, message)) => {
                    print(&format_args!("[{section}] {url} CANNOT be used: {message} [{code}]"))?
                }
            }
        }
    }
    Ok(if sound { ExitCode::SUCCESS } else { ExitCode::from(Blame::Installation.status()) })
}

async fn store(settings: &Settings, process: &Process<'_>) -> Result<(), Trouble> {
    let store = stores::store(&settings.store, process).await.map_err(unusable)?;
    store.now().await.map(|_| ()).map_err(failed)
}

async fn queue(settings: &Settings, process: &Process<'_>) -> Result<(), Trouble> {
    backends::queue(&settings.queue, process).await.map_err(unusable)?.check().await.map_err(failed)
}

async fn blobs(settings: &Settings, process: &Process<'_>) -> Result<(), Trouble> {
    backends::blobs(&settings.blobs, process).await.map_err(unusable)?.check().await.map_err(failed)
}

async fn live(settings: &Settings, process: &Process<'_>) -> Result<(), Trouble> {
    backends::live(&settings.live, process).map_err(unusable)?.check().await.map_err(failed)
}

async fn soon(check: impl Future<Output = Result<(), Trouble>>) -> Result<(), Trouble> {
    let late = || {
        (
            "timeout",
            format!("no answer in {} s: is something on the way dropping packets?", PATIENCE.as_secs()),
        )
    };
    tokio::time::timeout(PATIENCE, check).await.unwrap_or_else(|_| Err(late()))
}

fn unusable(error: BackendError) -> Trouble {
    let code = error.code();
    match error {
        // The line has section and URL already.
        BackendError::Port { source, .. } => (code, chain(&source)),
        other => (code, chain(&other)),
    }
}

fn failed(error: PortError) -> Trouble {
    (error.kind().code(), chain(&error))
}
