//! The main job on real input: images are rendered, edited in bulk through a `retouch up` that is killed half way, and
//! judged. `cargo xtask demo` builds and runs it.
//!
//! The edits are cases of the frozen suite of spatial edits, so that the suite's detector can judge what comes back; the
//! server is told images and instructions alone.

mod bulk;
mod outcome;
mod server;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use retouch_cli::failure::{Blame, Failure, print};

use bulk::{Batch, Bulk};
use outcome::Outcome;
use server::Server;

/// The least share of edits that must be as asked.
const AS_ASKED: f64 = 0.75;
/// The share of jobs that are over when the server is killed.
const KILL_AT: f64 = 0.4;
/// How often the server is asked how far it is.
const LOOK: Duration = Duration::from_millis(500);

/// Edits rendered images in bulk through `retouch up`, kills it half way, and judges the results.
#[derive(Parser)]
struct Args {
    /// The model's folder, for images of 128 x 128
    #[arg(long, default_value = "models/retouch-scenes")]
    model: PathBuf,
    /// Where the server keeps its data and the results go; what is there is deleted
    #[arg(long, default_value = "target/demo")]
    output: PathBuf,
}

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let outcome = runtime
        .map_err(|error| Failure::new(Blame::Program, "runtime_unavailable", error.to_string()))
        .and_then(|runtime| runtime.block_on(demo(&Args::parse())));
    outcome.unwrap_or_else(|failure| failure.report(false))
}

async fn demo(args: &Args) -> Result<ExitCode, Failure> {
    let model = args.model.canonicalize().map_err(|error| Failure::file("open", &args.model, &error))?;
    let folder = fresh(&args.output)?;
    let bulk = Bulk::of_suite(&model)?;
    let mut server = Server::start(&model, &folder).await?;
    print(&format_args!("retouch is up at {}", server.url()))?;
    let begun = Instant::now();
    let batches = bulk.submit(&server).await?;
    for batch in &batches {
        print(&format_args!("batch {} ({}): {} jobs", batch.id, batch.band, batch.jobs))?;
    }
    let killed_at = (bulk.jobs() as f64 * KILL_AT) as u64;
    follow(&server, &batches, bulk.jobs(), Some(killed_at)).await?;
    server.kill()?;
    server = Server::start(&model, &folder).await?;
    print(&format_args!("retouch was killed with SIGKILL, and is up again at {}", server.url()))?;
    follow(&server, &batches, bulk.jobs(), None).await?;
    let took = begun.elapsed();
    let outcome = Outcome::fetch(&server, &batches, &bulk).await?;
    server.kill()?;
    let judged = outcome.judge(&bulk)?;
    let sheet = folder.join("sheet.png");
    judged.draw(&bulk, &sheet)?;
    let contradictions = server::audit(&folder)?;
    tell(&bulk, &outcome, judged.right(), contradictions, took, &sheet)
}

/// Waits until so many jobs are over, or all, and shows how far they are.
async fn follow(server: &Server, batches: &[Batch], jobs: u64, until: Option<u64>) -> Result<(), Failure> {
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} over, {eta} left");
    let bar = ProgressBar::new(jobs).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    loop {
        let mut over = 0;
        let mut open = false;
        for batch in batches {
            let now = server.get(&format!("/v1/batches/{}", batch.id)).await?;
            let count = |name: &str| now["counts"][name].as_u64().unwrap_or(0);
            over += count("total") - count("live");
            open |= ["open", "loading"].iter().any(|state| now["state"] == *state);
        }
        bar.set_position(over);
        if !open || until.is_some_and(|until| over >= until) {
            bar.finish_and_clear();
            return Ok(());
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn tell(
    bulk: &Bulk,
    outcome: &Outcome,
    right: usize,
    contradictions: u64,
    took: Duration,
    sheet: &Path,
) -> Result<ExitCode, Failure> {
    let edits = bulk.cases().len();
    print(&format_args!("edited as asked: {right} of {edits}"))?;
    for (key, code) in outcome.refused() {
        print(&format_args!("{key}: refused with {code}"))?;
    }
    let (lost, doubled) = (outcome.lost(bulk), outcome.doubled());
    print(&format_args!("lost {lost}, doubled {doubled}; the audit found {contradictions} contradictions"))?;
    let rate = bulk.jobs() as f64 / took.as_secs_f64();
    print(&format_args!("{rate:.2} edits a second with the kill; look at {}", sheet.display()))?;
    let unhurt = lost == 0 && doubled == 0 && contradictions == 0 && outcome.refused().count() == bulk.bad();
    let good = unhurt && right as f64 >= edits as f64 * AS_ASKED;
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The folder, made anew.
fn fresh(folder: &Path) -> Result<PathBuf, Failure> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(Failure::file("delete", folder, &error));
        }
        _ => {}
    }
    std::fs::create_dir_all(folder)
        .and_then(|()| folder.canonicalize())
        .map_err(|error| Failure::file("make", folder, &error))
}
