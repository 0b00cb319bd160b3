//! `retouch submit`: the edits of a file; and how every submission is made.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use retouch_cli::failure::{Failure, print};
use retouch_ports::{Ids, SystemIds};
use serde_json::{Value, json};

use super::server::{Server, ServerArgs};
use super::watch;

#[derive(Args)]
pub(crate) struct SubmitArgs {
    /// A JSON object a line: `image` (`{"url": "…"}` or `{"file": "ID"}`), `instruction`, and what `/docs` lists beside them
    file: PathBuf,
    /// Values of fields that a line does not name, as a JSON object
    #[arg(long, value_name = "JSON", default_value = "{}", value_parser = object)]
    defaults: Value,
    /// Only check the lines and estimate what they take
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    batch: BatchOptions,
    #[command(flatten)]
    pub(super) server: ServerArgs,
}

/// How a batch is treated.
#[derive(Debug, Args)]
pub(super) struct BatchOptions {
    /// Where to put the results, as they come
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Priority class
    #[arg(long, value_parser = ["interactive", "standard", "bulk"], default_value = "standard")]
    band: String,
    /// What you call it
    #[arg(long)]
    label: Option<String>,
    /// Do not wait for the end
    #[arg(long, conflicts_with = "output")]
    no_wait: bool,
}

fn object(text: &str) -> Result<Value, String> {
    let value: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if value.is_object() { Ok(value) } else { Err("write a JSON object".to_owned()) }
}

pub(super) async fn run(args: &SubmitArgs) -> Result<ExitCode, Failure> {
    let server = Server::find(&args.server)?;
    let rows = json!({"file": server.upload(&args.file, "application/jsonl").await?});
    let defaults = args.defaults.clone();
    if args.dry_run {
        let body = args.batch.treat(rows_of(rows, defaults));
        print(&server.post("/v1/batches?dry_run=true", &body, None).await?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let once = SystemIds.uuid().simple().to_string();
    submit(&server, rows, defaults, &once, &args.batch, args.server.json).await
}

/// Makes a batch of `rows`, says which were refused, and waits if asked to.
pub(super) async fn submit(
    server: &Server,
    rows: Value,
    defaults: Value,
    once: &str,
    options: &BatchOptions,
    json: bool,
) -> Result<ExitCode, Failure> {
    let receipt = server.post("/v1/batches", &options.treat(rows_of(rows, defaults)), Some(once)).await?;
    let verdicts = &receipt["verdicts"];
    if !json {
        let batch = receipt["id"].as_str().unwrap_or_default();
        print(&format_args!(
            "batch {batch}: {} new, {} duplicate, {} invalid",
            verdicts["new"], verdicts["duplicate"], verdicts["invalid"]
        ))?;
        for row in receipt["refused"].as_array().into_iter().flatten() {
            print(&format_args!("  refused: {row}"))?;
        }
    }
    options.wait(server, &receipt, verdicts["invalid"].as_u64().unwrap_or(0), json).await
}

/// A submission of rows.
fn rows_of(mut rows: Value, defaults: Value) -> Value {
    rows["defaults"] = defaults;
    rows
}

impl BatchOptions {
    /// A request for a batch that is treated so.
    pub(super) fn treat(&self, mut body: Value) -> Value {
        body["band"] = json!(self.band);
        if let Some(label) = &self.label {
            body["label"] = json!(label);
        }
        body
    }

    /// Waits for the end of an accepted batch, if asked to. `refused` of its rows were not accepted.
    pub(super) async fn wait(
        &self,
        server: &Server,
        receipt: &Value,
        refused: u64,
        json: bool,
    ) -> Result<ExitCode, Failure> {
        let batch = receipt["id"].as_str().unwrap_or_default();
        if !self.no_wait {
            return watch::to_the_end(server, batch, self.output.as_deref(), json, refused).await;
        }
        if json {
            print(receipt)?;
        } else {
            print(&format_args!("come back with `retouch watch {batch}`"))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// A bar on standard error, and only where that is a terminal.
pub(super) fn bar(hidden: bool, length: u64, what: &'static str) -> ProgressBar {
    if hidden {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {prefix}, {eta} left{msg}")
        .expect("the template is constant");
    ProgressBar::new(length).with_style(style).with_prefix(what)
}
