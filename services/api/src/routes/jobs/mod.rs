//! Jobs.

mod control;
mod events;
mod get;

use std::time::Duration;

use retouch_domain::{JobId, TenantId};
use retouch_ports::live::Topic;
use retouch_ports::store::JobRecord;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::problem::{Answer, Problem};
use crate::watch;

pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(get::get_job))
        .routes(routes!(get::list_attempts))
        .routes(routes!(get::get_image))
        .routes(routes!(get::get_shard))
        .routes(routes!(events::get_job_events))
        .routes(routes!(control::cancel_job))
        .routes(routes!(control::retry_job))
}

/// How long an answer may wait.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Wait {
    /// Seconds such as `30s`, up to 60; the answer comes at once if absent.
    wait: Option<String>,
}

impl Wait {
    /// How long that is.
    pub(crate) fn length(&self) -> Answer<Duration> {
        self.wait.as_deref().map_or(Ok(Duration::ZERO), watch::wait_of)
    }
}

/// The tenant's job of this id.
pub(crate) async fn find(app: &App, tenant: TenantId, job: JobId) -> Answer<JobRecord> {
    app.store.job(tenant, job).await?.ok_or_else(|| Problem::not_found("job"))
}

/// The job when it is over, or when the wait is.
pub(crate) async fn ended(app: &App, tenant: TenantId, job: JobId, wait: Duration) -> Answer<JobRecord> {
    let read = move || find(app, tenant, job);
    watch::until(app, Topic::Job(job), wait, read, |job| job.state.is_terminal()).await
}
