//! `retouch worker`: the thin main of the service.

use std::num::NonZeroU16;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use retouch_bootstrap::Settings;
use retouch_domain::Pool;
use retouch_ports::Ports;
use retouch_ports::jobs::pairs;
use retouch_worker::pairs::PairMaker;
use retouch_worker::{Executor, Options, worker};
use tokio_util::sync::CancellationToken;

use super::{connect, shared_queue, until_told, wrong};
use crate::failure::{Blame, Failure, chain};
use crate::settings::SettingsArgs;

/// Makes what runs edits. Only `retouch-engine` has one.
pub type MakeEditor = fn(&Settings, &Ports) -> Result<Arc<dyn Executor>, Failure>;

/// The arguments of `retouch worker`; each but the settings replaces one of `[worker]`.
#[derive(Debug, Args)]
pub struct WorkerArgs {
    #[command(flatten)]
    settings: SettingsArgs,
    /// The pool whose jobs it runs: `cpu` renders and packs, every other one edits
    #[arg(long)]
    pool: Option<String>,
    /// auto, cpu or cuda:N
    #[arg(long)]
    device: Option<String>,
    /// Type of weights and forward passes
    #[arg(long, value_parser = ["float32", "float16", "bfloat16"])]
    dtype: Option<String>,
    /// Folder of model folders
    #[arg(long)]
    models: Option<String>,
    /// Jobs of each band that it holds at a time
    #[arg(long)]
    slots: Option<NonZeroU16>,
    /// Seconds that it may take to hand over its jobs when it is told to stop
    #[arg(long, value_name = "SECONDS")]
    drain_timeout: Option<u16>,
}

impl WorkerArgs {
    fn apply(&self, settings: &mut Settings) {
        let worker = &mut settings.worker;
        let texts = [
            (&mut worker.pool, &self.pool),
            (&mut worker.device, &self.device),
            (&mut worker.dtype, &self.dtype),
            (&mut worker.models, &self.models),
        ];
        for (setting, argument) in texts {
            if let Some(argument) = argument {
                setting.clone_from(argument);
            }
        }
        worker.slots = self.slots.unwrap_or(worker.slots);
        worker.drain_seconds = self.drain_timeout.unwrap_or(worker.drain_seconds);
    }

    /// Whether the jobs of the pool need the engine.
    ///
    /// # Errors
    /// `settings_invalid`
    pub fn edits(&self) -> Result<bool, Failure> {
        let mut settings = self.settings.load()?;
        self.apply(&mut settings);
        Ok(settings.worker.pool != pairs::POOL)
    }

    /// Whether errors are told as JSON.
    pub fn json(&self) -> bool {
        self.settings.json
    }
}

/// Runs jobs until it is told to stop and what it runs is handed over.
pub fn run(args: &WorkerArgs, editor: Option<MakeEditor>) -> ExitCode {
    until_told(&args.settings, async |mut settings, stop| {
        args.apply(&mut settings);
        shared_queue(&settings, "worker")?;
        let pool = pool(&settings)?;
        if settings.worker.pool != pairs::POOL {
            models(&settings)?;
        }
        let ports = connect(&settings).await?;
        let executor = if settings.worker.pool == pairs::POOL {
            renderer(&ports)
        } else {
            editor.ok_or_else(without_engine)?(&settings, &ports)?
        };
        serve(&settings, ports, pool, executor, stop).await
    })
}

/// The pool of `[worker]`.
pub(super) fn pool(settings: &Settings) -> Result<Pool, Failure> {
    settings.worker.pool.parse().map_err(|error| wrong("[worker] pool", &error))
}

/// Runs the jobs that need no model.
pub(super) fn renderer(ports: &Ports) -> Arc<dyn Executor> {
    Arc::new(PairMaker::new(ports.blobs.clone()))
}

/// Works to the end.
pub(super) async fn serve(
    settings: &Settings,
    ports: Ports,
    pool: Pool,
    executor: Arc<dyn Executor>,
    stop: CancellationToken,
) -> Result<(), Failure> {
    let drain = Duration::from_secs(settings.worker.drain_seconds.into());
    let options = Options { drain, ..Options::new(pool, settings.worker.slots) };
    worker::run(ports.into(), executor, options, stop)
        .await
        .map_err(|error| Failure::new(Blame::Program, "worker_failed", chain(&error)))
}

fn without_engine() -> Failure {
    let message =
        "edits need the engine: run this worker by `retouch-engine worker`, or take the pool \"cpu\"";
    Failure::new(Blame::Installation, "engine_unavailable", message.to_owned())
}

/// Whether there is anything to edit with.
fn models(settings: &Settings) -> Result<(), Failure> {
    let folder = Path::new(&settings.worker.models);
    if folder.is_dir() {
        return Ok(());
    }
    let problem = format!("{} is no folder; name the one that holds your model folders", folder.display());
    Err(wrong("[worker] models", &problem))
}
