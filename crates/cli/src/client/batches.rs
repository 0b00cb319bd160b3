//! Batches and jobs as they stand, and what is done to batches.

use std::process::ExitCode;

use clap::Args;
use retouch_cli::failure::{Failure, print};
use serde_json::{Value, json};

use super::server::{Server, ServerArgs};

#[derive(Args)]
pub(crate) struct ListArgs {
    /// Only batches in this state
    #[arg(long, value_parser = ["loading", "open", "completed", "canceled", "failed"])]
    state: Option<String>,
    /// Only batches that you call so
    #[arg(long)]
    label: Option<String>,
    /// The newest first
    #[arg(long)]
    newest: bool,
    /// At most so many
    #[arg(long, value_name = "COUNT")]
    limit: Option<usize>,
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
pub(crate) struct CancelArgs {
    /// Only what waits; what runs goes on
    #[arg(long)]
    waiting: bool,
    #[command(flatten)]
    pub(super) batch: BatchArgs,
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
    let filters = [("state", args.state.as_deref()), ("label", args.label.as_deref())];
    let mut query: Vec<(&str, &str)> =
        filters.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
    query.push(("order", if args.newest { "newest" } else { "oldest" }));
    let (mut after, mut batches) = (None::<String>, Vec::new());
    let most = args.limit.unwrap_or(usize::MAX);
    while batches.len() < most {
        let place = after.iter().map(|after| ("after", after.as_str()));
        let query: Vec<_> = query.iter().copied().chain(place).collect();
        let mut page = server.get_with("/v1/batches", &query).await?;
        batches.extend(page["batches"].as_array_mut().map(std::mem::take).unwrap_or_default());
        after = page["next"].as_str().map(str::to_owned);
        if after.is_none() {
            break;
        }
    }
    batches.truncate(most);
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

pub(super) async fn cancel(args: &CancelArgs) -> Result<ExitCode, Failure> {
    control(&args.batch, if args.waiting { "cancel?scope=waiting" } else { "cancel" }).await
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
