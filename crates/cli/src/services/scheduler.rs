//! `retouch scheduler`: the thin main of the service.

use std::process::ExitCode;
use std::time::Duration;

use retouch_bootstrap::settings::SchedulerSettings;
use retouch_domain::Pool;
use retouch_ports::DispatchRules;
use retouch_scheduler::{Options, Scheduler};

use super::{connect, until_told, wrong};
use crate::failure::Failure;
use crate::settings::SettingsArgs;

/// Runs until it is told to stop.
pub fn run(args: &SettingsArgs) -> ExitCode {
    until_told(args, async |settings, stop| {
        let options = options(&settings.scheduler)?;
        let ports = connect(&settings).await?;
        tracing::info!(store = %settings.store.url, queue = %settings.queue.url, "the scheduler runs");
        Scheduler::run(ports, options, stop).await;
        Ok(())
    })
}

/// How dispatch fills the window of a pool.
pub(super) fn dispatch(settings: &SchedulerSettings) -> Result<DispatchRules, Failure> {
    if settings.share_of.get() < 3 {
        let problem = format!("{} is too few: use 3 or more, one for each band", settings.share_of);
        return Err(wrong("[scheduler] share_of", &problem));
    }
    Ok(DispatchRules {
        tickets_per_slot: settings.tickets_per_slot.get(),
        least_window: settings.least_window.get(),
        share_of: settings.share_of.get(),
        run: settings.run.get(),
    })
}

pub(super) fn options(settings: &SchedulerSettings) -> Result<Options, Failure> {
    let pool = |name: &String| name.parse::<Pool>().map_err(|error| wrong("[scheduler] pools", &error));
    let millis = |number: std::num::NonZeroU32| Duration::from_millis(u64::from(number.get()));
    let hours = |number: u32| Duration::from_secs(3600) * number;
    let days = settings.keep_batches_days;
    Ok(Options {
        dispatch: dispatch(settings)?,
        pools: settings.pools.iter().map(pool).collect::<Result<_, _>>()?,
        dispatch_every: millis(settings.dispatch_ms),
        upkeep_every: millis(settings.upkeep_ms),
        sweep_every: Duration::from_secs(1) * settings.sweep_seconds.get(),
        ticket_grace: Duration::from_secs(1) * settings.ticket_grace_seconds.get(),
        dead_after: millis(settings.dead_after_ms),
        keep_batches: (days > 0).then(|| hours(24) * days),
        keep_deliveries: hours(24) * settings.keep_deliveries_days.get(),
        keep_answers: hours(settings.keep_answers_hours.get()),
        keep_loading: hours(settings.keep_loading_hours.get()),
    })
}
