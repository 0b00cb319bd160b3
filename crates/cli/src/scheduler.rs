//! `retouch scheduler`: the thin main of the service.

use std::io::stderr;
use std::process::ExitCode;
use std::time::Duration;

use retouch_bootstrap::backends;
use retouch_bootstrap::settings::SchedulerSettings;
use retouch_domain::Pool;
use retouch_ports::DispatchRules;
use retouch_scheduler::{Options, Scheduler};
use tokio_util::sync::CancellationToken;

use crate::failure::{Blame, Failure, chain};
use crate::operations::{SettingsArgs, process, unusable};

/// Runs until SIGTERM or Ctrl-C.
pub(crate) fn run(args: &SettingsArgs) -> ExitCode {
    serve(args).unwrap_or_else(|failure| failure.report(args.json))
}

fn serve(args: &SettingsArgs) -> Result<ExitCode, Failure> {
    tracing_subscriber::fmt().with_writer(stderr).init();
    let settings = args.load()?;
    let options = options(&settings.scheduler)?;
    let program =
        |error: &dyn std::error::Error| Failure::new(Blame::Program, "runtime_unavailable", chain(error));
    let stop = CancellationToken::new();
    let told = stop.clone();
    ctrlc::set_handler(move || told.cancel()).map_err(|error| program(&error))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.map_err(|error| program(&error))?.block_on(async {
        let ports = backends::connect(&settings, &process()).await.map_err(|error| unusable(&error))?;
        tracing::info!(store = %settings.store.url, queue = %settings.queue.url, "the scheduler runs");
        Scheduler::run(ports, options, stop).await;
        Ok(ExitCode::SUCCESS)
    })
}

fn options(settings: &SchedulerSettings) -> Result<Options, Failure> {
    let pool = |name: &String| {
        name.parse::<Pool>().map_err(|error| {
            Failure::new(Blame::Parameters, "settings_invalid", format!("[scheduler] pools: {error}"))
        })
    };
    let millis = |number: std::num::NonZeroU32| Duration::from_millis(u64::from(number.get()));
    let hours = |number: u32| Duration::from_secs(3600) * number;
    let days = settings.keep_batches_days;
    if settings.share_of.get() < 3 {
        let message =
            format!("[scheduler] share_of is {}: use 3 or more, one for each band", settings.share_of);
        return Err(Failure::new(Blame::Parameters, "settings_invalid", message));
    }
    Ok(Options {
        dispatch: DispatchRules {
            tickets_per_slot: settings.tickets_per_slot.get(),
            least_window: settings.least_window.get(),
            share_of: settings.share_of.get(),
            run: settings.run.get(),
        },
        pools: settings.pools.iter().map(pool).collect::<Result<_, _>>()?,
        dispatch_every: millis(settings.dispatch_ms),
        upkeep_every: millis(settings.upkeep_ms),
        sweep_every: Duration::from_secs(1) * settings.sweep_seconds.get(),
        ticket_grace: Duration::from_secs(1) * settings.ticket_grace_seconds.get(),
        dead_after: millis(settings.dead_after_ms),
        keep_batches: (days > 0).then(|| hours(24) * days),
        keep_answers: hours(settings.keep_answers_hours.get()),
        keep_loading: hours(settings.keep_loading_hours.get()),
    })
}
