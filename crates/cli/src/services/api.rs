//! `retouch api`: the thin main of the service.

use std::num::NonZeroU32;
use std::process::ExitCode;

use clap::Args;
use retouch_api::{Api, KeySecret, Options};
use retouch_bootstrap::Settings;
use retouch_domain::Pool;
use retouch_imaging::Limits;
use retouch_ports::live::Limit;
use tokio::net::TcpListener;

use super::{connect, scheduler, shared_queue, until_told, wrong};
use crate::failure::{Blame, Failure};
use crate::settings::SettingsArgs;

/// The arguments of `retouch api`.
#[derive(Debug, Args)]
pub struct ApiArgs {
    #[command(flatten)]
    settings: SettingsArgs,
    /// Where to listen instead of [api] listen
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
}

/// Serves until it is told to stop and what it was asked is answered.
pub fn run(args: &ApiArgs) -> ExitCode {
    until_told(&args.settings, async |mut settings, stop| {
        if let Some(listen) = &args.listen {
            settings.api.listen.clone_from(listen);
        }
        shared_queue(&settings, "api")?;
        let (secret, options) = (secret(settings.api.key_secret.reveal())?, options(&settings)?);
        let ports = connect(&settings).await?;
        let (listener, url) = listen(&settings).await?;
        tracing::info!(%url, store = %settings.store.url, "the API listens");
        serve(&Api::new(ports, secret, options, stop), listener).await
    })
}

/// Serves to the end.
pub(super) async fn serve(api: &Api, listener: TcpListener) -> Result<(), Failure> {
    api.serve(listener)
        .await
        .map_err(|error| Failure::new(Blame::Program, "listener_failed", error.to_string()))
}

/// Opens the socket. With the URL that leads to it.
pub(super) async fn listen(settings: &Settings) -> Result<(TcpListener, String), Failure> {
    let wanted = &settings.api.listen;
    let refused = |error: std::io::Error| {
        let message = format!("[api] listen: cannot listen on {wanted}: {error}");
        let blame = if error.kind() == std::io::ErrorKind::InvalidInput {
            Blame::Parameters
        } else {
            Blame::Installation
        };
        Failure::new(blame, "address_unusable", message)
    };
    let listener = TcpListener::bind(wanted).await.map_err(refused)?;
    let url = format!("http://{}", listener.local_addr().map_err(refused)?);
    Ok((listener, url))
}

pub(super) fn secret(secret: &str) -> Result<KeySecret, Failure> {
    KeySecret::new(secret).map_err(|error| wrong("[api] key_secret", &error))
}

pub(super) fn options(settings: &Settings) -> Result<Options, Failure> {
    let api = &settings.api;
    let pool = api.pool.parse().map_err(|error| wrong("[api] pool", &error))?;
    let bytes = |mebibytes: NonZeroU32| u64::from(mebibytes.get()) << 20;
    Ok(Options {
        body_bytes: usize::try_from(bytes(api.body_mib)).unwrap_or(usize::MAX),
        file_bytes: bytes(api.file_mib),
        image: Limits {
            bytes: usize::try_from(bytes(api.image_mib)).unwrap_or(usize::MAX),
            pixels: u64::from(api.image_megapixels.get()) * 1_000_000,
            ..Limits::default()
        },
        pools: pools(settings)?,
        pool,
        model: (!api.model.is_empty()).then(|| api.model.clone()),
        most_waiting: api.most_waiting,
        requests: (api.requests_per_second > 0)
            .then(|| Limit { burst: api.burst.get(), per_second: f64::from(api.requests_per_second) }),
        dispatch: scheduler::dispatch(&settings.scheduler)?,
    })
}

/// The pools that anybody of this installation looks after.
fn pools(settings: &Settings) -> Result<Vec<Pool>, Failure> {
    let known = settings.scheduler.pools.iter().chain([&settings.api.pool, &settings.worker.pool]);
    known.map(|pool| pool.parse().map_err(|error| wrong("[scheduler] pools", &error))).collect()
}
