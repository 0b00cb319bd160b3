//! Batches and jobs as they stand, and what is done to batches.

use std::process::ExitCode;

use clap::Args;
use retouch_cli::failure::{Failure, print};
use serde_json::{Value, json};

use super::server::{Server, ServerArgs};

#[derive(Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    pub(super) server: ServerArgs,
}

#[derive(Args)]
pub(crate) struct BatchArgs {
    /// The id of the batch
    batch: String,
    #[command(flatten)]
    pub(super) server: ServerArgs,
}

#[derive(Args)]
pub(crate) struct GetArgs {
    /// The id of a batch or of a job
    id: String,
    #[command(flatten)]
    pub(super) server: ServerArgs,
}

pub(super) async fn list(args: &ListArgs) -> Result<ExitCode, Failure> {
    let server = Server::find(&args.server)?;
    let batches = server.list("/v1/batches", "batches").await?;
    if args.server.json {
        print(&json!({ "batches": batches }))?;
        return Ok(ExitCode::SUCCESS);
    }
    batches.iter().try_for_each(line)?;
    Ok(ExitCode::SUCCESS)
}

/// A batch in one line.
fn line(batch: &Value) -> Result<(), Failure> {
    let text = |name: &str| batch[name].as_str().unwrap_or_default();
    let count = |name: &str| batch["counts"][name].as_i64().unwrap_or(0);
    print(&format_args!(
        "{}  {:9}  {}/{} succeeded, {} failed  {}",
        text("id"),
        text("state"),
        count("succeeded"),
        count("total"),
        count("failed"),
        text("label"),
    ))
}

pub(super) async fn get(args: &GetArgs) -> Result<ExitCode, Failure> {
    let server = Server::find(&args.server)?;
    let found = match server.get(&format!("/v1/batches/{}", args.id)).await {
        Err(failure) if failure.code() == "not_found" => server.get(&format!("/v1/jobs/{}", args.id)).await?,
        found => found?,
    };
    if args.server.json {
        print(&found)?;
    } else {
        print(&format_args!("{found:#}"))?;
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn control(args: &BatchArgs, what: &str) -> Result<ExitCode, Failure> {
    let server = Server::find(&args.server)?;
    let batch = server.post(&format!("/v1/batches/{}/{what}", args.batch), &json!({}), None).await?;
    if args.server.json {
        print(&batch)?;
    } else {
        line(&batch)?;
    }
    Ok(ExitCode::SUCCESS)
}
