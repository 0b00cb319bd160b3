//! `retouch workers`, `queues`, `models`, `usage`: who does the work, what waits for it, and what it took.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use retouch_cli::failure::{Failure, print};
use serde_json::Value;

use super::server::{Server, ServerArgs};

#[derive(Args)]
pub(crate) struct LookArgs {
    #[command(flatten)]
    pub(super) server: ServerArgs,
}

#[derive(Subcommand)]
pub(crate) enum Models {
    /// List the models that edits may name
    Ls(LookArgs),
}

#[derive(Args)]
pub(crate) struct UsageArgs {
    /// The first day in UTC, such as 2026-01-31; 29 days before the last if absent
    #[arg(long, value_name = "DAY")]
    from: Option<String>,
    /// The last day in UTC; today if absent
    #[arg(long, value_name = "DAY")]
    to: Option<String>,
    #[command(flatten)]
    pub(super) server: ServerArgs,
}

pub(super) async fn models(args: &LookArgs) -> Result<ExitCode, Failure> {
    let found = Server::find(&args.server)?.get("/v1/models").await?;
    tell(&found, args.server.json, "models", |model| {
        let default = if model["default"] == true { "  (of edits that name none)" } else { "" };
        format!(
            "{:32}  {} workers, loaded by {}{default}",
            text(model, "name"),
            model["workers"],
            model["loaded"]
        )
    })
}

pub(super) async fn workers(args: &LookArgs) -> Result<ExitCode, Failure> {
    let found = Server::find(&args.server)?.get("/v1/workers").await?;
    tell(&found, args.server.json, "workers", |worker| {
        let draining = if worker["draining"] == true { "  draining" } else { "" };
        format!(
            "{}  {:8}  {} slots  {} models, {} loaded{draining}",
            text(worker, "id"),
            text(worker, "pool"),
            worker["slots"],
            count(worker, "models"),
            count(worker, "loaded"),
        )
    })
}

pub(super) async fn queues(args: &LookArgs) -> Result<ExitCode, Failure> {
    let found = Server::find(&args.server)?.get("/v1/queues").await?;
    tell(&found, args.server.json, "queues", |queue| {
        format!(
            "{:8}  {:11}  {} waiting ({} with a ticket), {} running, about {:.0} s of work",
            text(queue, "pool"),
            text(queue, "band"),
            queue["waiting"],
            queue["dispatched"],
            queue["running"],
            queue["waiting_seconds"].as_f64().unwrap_or(0.0),
        )
    })
}

pub(super) async fn usage(args: &UsageArgs) -> Result<ExitCode, Failure> {
    let days = [("from", args.from.as_deref()), ("to", args.to.as_deref())];
    let query: Vec<(&str, &str)> =
        days.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
    let found = Server::find(&args.server)?.get_with("/v1/usage", &query).await?;
    tell(&found, args.server.json, "days", |day| {
        format!(
            "{}  {} jobs, {} images, {} runs, {:.1} s of devices, {:.1} s of loading",
            text(day, "day"),
            day["jobs"],
            day["images"],
            day["runs"],
            day["device_seconds"].as_f64().unwrap_or(0.0),
            day["load_seconds"].as_f64().unwrap_or(0.0),
        )
    })
}

/// Prints all of an answer, or a line for each thing in its list.
fn tell(found: &Value, json: bool, list: &str, line: impl Fn(&Value) -> String) -> Result<ExitCode, Failure> {
    if json {
        print(found)?;
    } else {
        found[list].as_array().into_iter().flatten().try_for_each(|thing| print(&line(thing)))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn text<'a>(thing: &'a Value, name: &str) -> &'a str {
    thing[name].as_str().unwrap_or_default()
}

fn count(thing: &Value, name: &str) -> usize {
    thing[name].as_array().map_or(0, Vec::len)
}
