//! What an operator does to an installation: `retouch migrate`, `retouch audit`, `retouch doctor`.

mod audit;
mod doctor;

use std::process::ExitCode;

use clap::{Args, Subcommand};
use retouch_bootstrap::stores;
use retouch_ports::PortError;
use serde_json::json;

use retouch_cli::failure::{Blame, Failure, chain, print};
use retouch_cli::settings::{SettingsArgs, unusable};

#[derive(Subcommand)]
pub(crate) enum Operations {
    /// Make the tables of the job store, or bring them up to this version
    ///
    /// Exit status: 0 done, 2 wrong usage or settings, 69 the database cannot be used.
    Migrate(SettingsArgs),
    /// Compare every record of the job store: accepted = ended + live, for each tenant and batch
    ///
    /// Exit status: 0 all agree, 4 contradictions were found and named, 2 wrong usage or settings, 69 the database cannot be
    /// used.
    Audit(AuditArgs),
    /// Check every configured backend: what is wrong with it, and how to mend it
    ///
    /// Exit status: 0 all can be used, 2 wrong usage or settings, 69 one cannot be used.
    Doctor(SettingsArgs),
}

#[derive(Args)]
pub(crate) struct AuditArgs {
    #[command(flatten)]
    settings: SettingsArgs,
    /// List every batch, not only tenants
    #[arg(long)]
    batches: bool,
}

/// Runs a command and reports.
pub(crate) fn run(command: &Operations) -> ExitCode {
    let (json, result) = match command {
        Operations::Migrate(args) => (args.json, on_runtime(migrate(args))),
        Operations::Audit(args) => (args.settings.json, on_runtime(audit::run(args))),
        Operations::Doctor(args) => (args.json, on_runtime(doctor::run(args))),
    };
    result.unwrap_or_else(|failure| failure.report(json))
}

fn on_runtime(command: impl Future<Output = Result<ExitCode, Failure>>) -> Result<ExitCode, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime =
        runtime.map_err(|error| Failure::new(Blame::Program, "runtime_unavailable", chain(&error)))?;
    runtime.block_on(command)
}

async fn migrate(args: &SettingsArgs) -> Result<ExitCode, Failure> {
    let settings = args.load()?;
    stores::migrate(&settings.store).await.map_err(|error| unusable(&error))?;
    let url = settings.store.url.to_string();
    if args.json {
        print(&json!({ "store": url, "schema": "current" }))?;
    } else {
        print(&format_args!("{url}: the schema is up to date"))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn failed(error: &PortError) -> Failure {
    Failure::new(Blame::Installation, error.kind().code(), chain(error))
}
