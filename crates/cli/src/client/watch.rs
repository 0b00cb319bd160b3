//! `retouch watch`: a batch until it is over.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use retouch_cli::failure::{Failure, print};
use serde_json::{Value, json};

use super::download::{Downloads, name};
use super::lines::Lines;
use super::server::{Server, ServerArgs};
use super::{INTERRUPTED, SOME_FAILED, submit};

/// How often a batch is looked at.
const LOOK: Duration = Duration::from_millis(500);

#[derive(Args)]
pub(crate) struct WatchArgs {
    /// The id of the batch
    pub(super) batch: String,
    /// Where to put the results
    #[arg(short, long, value_name = "DIR")]
    pub(super) output: Option<PathBuf>,
    #[command(flatten)]
    pub(super) server: ServerArgs,
}

pub(super) async fn run(args: &WatchArgs) -> Result<ExitCode, Failure> {
    let server = Server::find(&args.server)?;
    to_the_end(&server, &args.batch, args.output.as_deref(), args.server.json, 0).await
}

/// Watches, downloads what comes, and says what did not succeed; `refused` rows did not to begin with. Ctrl-C ends the
/// watching alone.
pub(super) async fn to_the_end(
    server: &Server,
    batch: &str,
    output: Option<&Path>,
    json: bool,
    refused: u64,
) -> Result<ExitCode, Failure> {
    let over = tokio::select! {
        over = follow(server, batch, output, json) => over?,
        _ = tokio::signal::ctrl_c() => {
            let mut again = format!("retouch watch {batch}");
            if let Some(folder) = output {
                again += &format!(" -o {}", folder.display());
            }
            // Where nobody reads any more, the exit status still tells.
            let _ = writeln!(
                std::io::stderr(),
                "the batch goes on; come back with `{again}`, or stop it with `retouch cancel {batch}`"
            );
            return Ok(ExitCode::from(INTERRUPTED));
        }
    };
    let count = |name: &str| over["counts"][name].as_u64().unwrap_or(0);
    if json {
        print(&over)?;
    } else {
        let states =
            ["succeeded", "failed", "canceled", "expired"].map(|state| format!("{} {state}", count(state)));
        print(&format_args!("{batch}: {}", states.join(", ")))?;
    }
    let all = refused == 0 && count("succeeded") == count("total");
    Ok(if all { ExitCode::SUCCESS } else { ExitCode::from(SOME_FAILED) })
}

async fn follow(server: &Server, batch: &str, output: Option<&Path>, json: bool) -> Result<Value, Failure> {
    let mut downloads = output.map(Downloads::new).transpose()?;
    let mut bar = None;
    loop {
        let mut now = server.get(&format!("/v1/batches/{batch}")).await?;
        let count = |name: &str| now["counts"][name].as_u64().unwrap_or(0);
        let (total, succeeded, failed) = (count("total"), count("succeeded"), count("failed"));
        let bar = bar.get_or_insert_with(|| submit::bar(json, total, "done"));
        bar.set_length(total);
        bar.set_position(total.saturating_sub(count("live")));
        if failed > 0 {
            bar.set_message(format!(", {failed} failed"));
        }
        if let Some(downloads) = downloads.as_mut().filter(|downloads| succeeded > downloads.jobs()) {
            downloads.take(server, batch).await?;
        }
        if now["state"] != "open" && now["state"] != "loading" {
            // What a reader by cursor is not told yet.
            if let Some(downloads) = downloads.as_mut().filter(|downloads| succeeded > downloads.jobs()) {
                downloads.take_all(server, batch).await?;
            }
            bar.finish_and_clear();
            let errors = errors(server, batch, json).await?;
            if json {
                let files: Vec<String> = downloads.iter().flat_map(Downloads::files).collect();
                now["files"] = json!(files);
                now["errors"] = json!(errors);
            }
            return Ok(now);
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// The jobs that ended without a result; where text is wanted, they are told and not kept.
async fn errors(server: &Server, batch: &str, json: bool) -> Result<Vec<Value>, Failure> {
    let mut errors = Vec::new();
    let mut lines = Lines::of(server, &format!("/v1/batches/{batch}/errors.jsonl")).await?;
    while let Some(job) = lines.next().await? {
        if json {
            errors.push(job);
        } else {
            let message = job["error"]["message"].as_str().unwrap_or("ended without a result");
            print(&format_args!("{}: {message} [{}]", name(&job), code(&job)))?;
        }
    }
    Ok(errors)
}

/// Why a job has no result: its error's code, or its state.
fn code(job: &Value) -> &str {
    job["error"]["code"].as_str().or_else(|| job["state"].as_str()).unwrap_or_default()
}
