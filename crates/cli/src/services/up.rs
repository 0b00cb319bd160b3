//! `retouch up`: API, scheduler and workers in one process.

mod home;

use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use retouch_api::Api;
use retouch_bootstrap::{Settings, stores};
use retouch_domain::Pool;
use retouch_ports::Ports;
use retouch_ports::jobs::pairs;
use retouch_scheduler::Scheduler;
use serde_json::json;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use self::home::Home;
use super::worker::MakeEditor;
use super::{api, connect, scheduler, until_told, worker, wrong};
use crate::failure::{Blame, Failure, print};
use crate::settings::{SettingsArgs, unusable};

/// The arguments of `retouch up`.
#[derive(Debug, Args)]
pub struct UpArgs {
    #[command(flatten)]
    settings: SettingsArgs,
    /// Where to listen instead of [api] listen
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
    /// Folder of model folders instead of [worker] models
    #[arg(long)]
    models: Option<String>,
}

/// Serves and works until it is told to stop, or until a part of it fails.
pub fn run(args: &UpArgs, editor: Option<MakeEditor>) -> ExitCode {
    until_told(&args.settings, async |mut settings, stop| {
        if let Some(listen) = &args.listen {
            settings.api.listen.clone_from(listen);
        }
        if let Some(models) = &args.models {
            settings.worker.models.clone_from(models);
        }
        let mut home = Home::open(settings.up.folder.as_ref())?;
        let (options, of_scheduler) = (api::options(&settings)?, scheduler::options(&settings.scheduler)?);
        let pool = worker::pool(&settings)?;
        stores::migrate(&settings.store).await.map_err(|error| unusable(&error))?;
        let ports = connect(&settings).await?;
        let secret = home.secret(settings.api.key_secret.reveal());
        let secret = api::secret(&secret)?;
        let key = home.key(&*ports.store, &secret).await?;
        let (listener, url) = api::listen(&settings).await?;
        home.keep(&url)?;
        let mut parts = Parts { stop, running: JoinSet::new() };
        let api = Api::new(ports.clone(), secret, options, parts.stop.clone());
        parts.spawn(async move { api::serve(&api, listener).await });
        let (of_its, stop) = (ports.clone(), parts.stop.clone());
        parts.spawn(async move {
            Scheduler::run(of_its, of_scheduler, stop).await;
            Ok(())
        });
        parts.work(Arc::new(settings), &ports, pool, editor)?;
        tell(args.settings.json, &url, &key)?;
        parts.end().await
    })
}

/// What runs.
struct Parts {
    stop: CancellationToken,
    running: JoinSet<Result<(), Failure>>,
}

impl Parts {
    fn spawn(&mut self, part: impl Future<Output = Result<(), Failure>> + Send + 'static) {
        self.running.spawn(part);
    }

    /// A worker that edits, where there is an engine, and one that renders and packs.
    fn work(
        &mut self,
        settings: Arc<Settings>,
        ports: &Ports,
        pool: Pool,
        editor: Option<MakeEditor>,
    ) -> Result<(), Failure> {
        let cpu = pairs::POOL.parse::<Pool>().map_err(|error| wrong("pool", &error))?;
        let mut workers = vec![(cpu, worker::renderer(ports))];
        if let Some(editor) = editor {
            workers.push((pool, editor(&settings, ports)?));
        }
        for (pool, executor) in workers {
            let (settings, ports, stop) = (settings.clone(), ports.clone(), self.stop.clone());
            self.spawn(async move { worker::serve(&settings, ports, pool, executor, stop).await });
        }
        Ok(())
    }

    /// Waits for the end of all. Where one ends, the others are told to.
    async fn end(mut self) -> Result<(), Failure> {
        let mut outcome = Ok(());
        while let Some(ended) = self.running.join_next().await {
            self.stop.cancel();
            let broken =
                |error: tokio::task::JoinError| Failure::new(Blame::Program, "panicked", error.to_string());
            outcome = outcome.and(ended.map_err(broken).flatten());
        }
        outcome
    }
}

fn tell(json: bool, url: &str, key: &str) -> Result<(), Failure> {
    if json {
        return print(&json!({ "url": url, "key": key }));
    }
    print(&format_args!("retouch is up\n  URL  {url}\n  key  {key}\n  docs {url}/docs"))
}
