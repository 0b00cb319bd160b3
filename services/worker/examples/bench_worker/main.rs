//! `cargo xtask bench worker`: batching steps, against serving one request after the other and against batching requests.
//!
//! The three serve the same arrivals with the same engine in one run, one after the other; all take the most urgent band
//! first and within it the oldest. docs/benchmarks.md says how to read the table.

mod load;
mod report;
mod servers;
mod timed;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Parser;
use retouch_diffusion::{Device, Kind, ModelFolder, parse_device, set_threads};
use retouch_domain::Band;
use retouch_ports::engine_source::EngineSource as _;
use retouch_testkit::models::model_folder;
use retouch_worker::batcher::monotonic;

use load::{Arrival, Load};
use report::Row;
use servers::{Policy, Served, Server, Thread};
use timed::{Busy, TimedSource};

/// Requests of the run that measures what one after the other is capable of.
const CALIBRATION: usize = 12;

#[derive(Parser)]
struct Args {
    /// Folder of the model; the tiny one of the tests if absent
    #[arg(long)]
    model: Option<PathBuf>,
    /// cpu or cuda:N
    #[arg(long, default_value = "cpu")]
    device: String,
    /// Type of weights and forward passes: f32 or bf16
    #[arg(long, default_value = "f32", value_parser = ["f32", "bf16"])]
    dtype: String,
    /// CPU threads; all cores if absent
    #[arg(long)]
    threads: Option<u16>,
    /// How long arrivals go on at each load
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// Seed of the arrivals
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Print one JSON object instead of the table
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<()> {
    let made = tempfile::tempdir().context("a folder for the model")?;
    let folder = match &args.model {
        Some(folder) => folder.canonicalize().with_context(|| format!("opening {}", folder.display()))?,
        None => model_folder("ip2p", "euler-a", made.path()),
    };
    let bench = Bench::new(args, &folder)?;
    let alone = bench.capability()?;
    let mut rows = Vec::new();
    for load in Load::ALL {
        let arrivals = load.arrivals(alone, Duration::from_secs(args.seconds), args.seed);
        for policy in Policy::ALL {
            eprintln!("{}: {} edits, {}", load.name(), arrivals.len(), policy.name());
            rows.push(bench.measure(policy, load, &arrivals)?);
        }
    }
    if args.json {
        report::json(alone, &rows)
    } else {
        report::table(alone, &rows)
    }
    Ok(())
}

/// What all runs have in common.
struct Bench {
    root: PathBuf,
    model: String,
    device: Device,
    kind: Kind,
    size: (u32, u32),
}

impl Bench {
    fn new(args: &Args, folder: &Path) -> Result<Self> {
        let (Some(root), Some(name)) = (folder.parent(), folder.file_name().and_then(|name| name.to_str()))
        else {
            bail!("{} is no folder of a model", folder.display());
        };
        let kind = if args.dtype == "bf16" { Kind::BFloat16 } else { Kind::Float };
        if let Some(threads) = args.threads {
            set_threads(threads);
        }
        let device = parse_device(&args.device).map_err(anyhow::Error::msg)?;
        let mut bench = Self { root: root.to_owned(), model: name.to_owned(), device, kind, size: (0, 0) };
        let mut source = ModelFolder::new(bench.root.clone(), device, kind);
        let facts = source.load(&bench.model).map_err(|error| anyhow::anyhow!("{error}"))?.facts;
        if !facts.edits {
            bail!("{name} makes images from words alone: name a model that edits");
        }
        bench.size = facts.native;
        Ok(bench)
    }

    fn server(&self, policy: Policy) -> Result<(Server, Thread, Arc<Busy>)> {
        let busy = Arc::new(Busy::default());
        let (root, device, kind, shared) = (self.root.clone(), self.device, self.kind, busy.clone());
        let source =
            move || Box::new(TimedSource::new(ModelFolder::new(root, device, kind), shared)) as Box<_>;
        let (server, thread) = Server::start(policy, self.model.clone(), monotonic(), source)?;
        Ok((server, thread, busy))
    }

    /// Edits a second, one after the other.
    fn capability(&self) -> Result<f64> {
        let arrivals = Load::burst(CALIBRATION, 3);
        Ok(self.measure(Policy::One, Load::Saturated, &arrivals)?.images_per_second)
    }

    fn measure(&self, policy: Policy, load: Load, arrivals: &[Arrival]) -> Result<Row> {
        let (server, thread, busy) = self.server(policy)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        let (served, wall) = runtime.block_on(async {
            // Loaded, and everything that a first edit sets up, set up.
            server.edit(Band::Bulk, load::request(self.size, 2, 0)).await?;
            busy.reset();
            let begun = std::time::Instant::now();
            let edits = arrivals.iter().map(|arrival| {
                let (server, size) = (server.clone(), self.size);
                async move {
                    tokio::time::sleep_until((begun + arrival.at).into()).await;
                    server.edit(arrival.band, load::request(size, arrival.steps, arrival.seed)).await
                }
            });
            let served: Result<Vec<Served>> = futures_util::future::try_join_all(edits).await;
            served.map(|served| (served, begun.elapsed()))
        })?;
        drop(server);
        thread.end()?;
        Ok(Row::new(policy, load, arrivals, &served, wall, busy.total()))
    }
}
