//! `retouch webhook`: who is told of the ends of batches.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use retouch_cli::failure::{Failure, print};
use serde_json::{Value, json};

use super::SOME_FAILED;
use super::server::{Server, ServerArgs};

/// How often a test is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How long the first attempt of a test is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is done to webhooks.
#[derive(Subcommand)]
pub(crate) enum Webhook {
    /// Tell a URL of the ends of batches. Prints the secret that signs the messages, once
    Add(AddArgs),
    /// List the webhooks
    Ls(LsArgs),
    /// Send a test to a webhook, and say whether it arrived
    ///
    /// Exit status: 0 it arrived, 1 it did not, else as `retouch edit`.
    Test(WebhookArgs),
    /// Send to a webhook again that was disabled
    Enable(WebhookArgs),
    /// Give a webhook another secret; the one until now signs for 24 hours too
    Rotate(WebhookArgs),
    /// Delete a webhook
    Rm(WebhookArgs),
}

#[derive(Args)]
pub(crate) struct AddArgs {
    /// Where messages are posted
    #[arg(value_name = "URL")]
    endpoint: String,
    /// What it is told of: batch.completed, batch.canceled, batch.failed; all if absent
    #[arg(long, value_delimiter = ',', value_name = "EVENT")]
    events: Vec<String>,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Args)]
pub(crate) struct LsArgs {
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Args)]
pub(crate) struct WebhookArgs {
    /// The id of the webhook
    webhook: String,
    #[command(flatten)]
    server: ServerArgs,
}

impl Webhook {
    /// Whether output is for programs.
    pub(super) const fn json(&self) -> bool {
        match self {
            Self::Add(args) => args.server.json,
            Self::Ls(args) => args.server.json,
            Self::Test(args) | Self::Enable(args) | Self::Rotate(args) | Self::Rm(args) => args.server.json,
        }
    }
}

pub(super) async fn run(command: &Webhook) -> Result<ExitCode, Failure> {
    match command {
        Webhook::Add(args) => add(args).await,
        Webhook::Ls(args) => list(args).await,
        Webhook::Test(args) => test(args).await,
        Webhook::Enable(args) => act(args, "enable").await,
        Webhook::Rotate(args) => act(args, "rotate").await,
        Webhook::Rm(args) => remove(args).await,
    }
}

async fn add(args: &AddArgs) -> Result<ExitCode, Failure> {
    let server = Server::find(&args.server)?;
    let mut request = json!({ "url": args.endpoint });
    if !args.events.is_empty() {
        request["events"] = json!(args.events);
    }
    let webhook = server.post("/v1/webhooks", &request, None).await?;
    show(&webhook, args.server.json)
}

async fn list(args: &LsArgs) -> Result<ExitCode, Failure> {
    let server = Server::find(&args.server)?;
    let webhooks = server.list("/v1/webhooks", "webhooks").await?;
    if args.server.json {
        print(&json!({ "webhooks": webhooks }))?;
    } else {
        webhooks.iter().try_for_each(line)?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn test(args: &WebhookArgs) -> Result<ExitCode, Failure> {
    let server = Server::find(&args.server)?;
    let path = format!("/v1/webhooks/{}", args.webhook);
    let mut delivery = server.post(&format!("{path}/test"), &json!({}), None).await?;
    let path = format!("{path}/deliveries/{}", delivery["id"].as_str().unwrap_or_default());
    let begun = Instant::now();
    // An attempt is over when it was answered, or has an error.
    while delivery["response_status"].is_null() && delivery["error"].is_null() && begun.elapsed() < PATIENCE {
        tokio::time::sleep(LOOK_EVERY).await;
        delivery = server.get(&path).await?;
    }
    if args.server.json {
        print(&delivery)?;
    } else {
        print(&format_args!("{}: {}", args.webhook, verdict(&delivery)))?;
    }
    let arrived = delivery["state"] == "delivered";
    Ok(if arrived { ExitCode::SUCCESS } else { ExitCode::from(SOME_FAILED) })
}

/// What became of a test.
fn verdict(delivery: &Value) -> String {
    let error = &delivery["error"];
    match (delivery["state"].as_str(), delivery["response_status"].as_u64(), error["message"].as_str()) {
        (Some("delivered"), Some(status), _) => format!("it arrived; the answer was {status}"),
        (_, _, Some(message)) => format!("{message} [{}]", error["code"].as_str().unwrap_or_default()),
        _ => format!("it was not sent within {} s: is a scheduler running?", PATIENCE.as_secs()),
    }
}

async fn act(args: &WebhookArgs, what: &str) -> Result<ExitCode, Failure> {
    let server = Server::find(&args.server)?;
    let webhook = server.post(&format!("/v1/webhooks/{}/{what}", args.webhook), &json!({}), None).await?;
    show(&webhook, args.server.json)
}

async fn remove(args: &WebhookArgs) -> Result<ExitCode, Failure> {
    let server = Server::find(&args.server)?;
    server.delete(&format!("/v1/webhooks/{}", args.webhook)).await?;
    if args.server.json {
        print(&json!({ "id": args.webhook, "deleted": true }))?;
    } else {
        print(&format_args!("{} is deleted", args.webhook))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn show(webhook: &Value, json: bool) -> Result<ExitCode, Failure> {
    if json {
        print(webhook)?;
        return Ok(ExitCode::SUCCESS);
    }
    line(webhook)?;
    if let Some(secret) = webhook["secret"].as_str() {
        print(&format_args!("secret {secret}"))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// A webhook in one line.
fn line(webhook: &Value) -> Result<(), Failure> {
    let text = |name: &str| webhook[name].as_str().unwrap_or_default();
    let events: Vec<&str> =
        webhook["events"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let state = webhook["disabled_reason"]
        .as_str()
        .map_or_else(|| "enabled".to_owned(), |reason| format!("disabled ({reason})"));
    print(&format_args!("{}  {state}  {}  {}", text("id"), text("url"), events.join(",")))
}
