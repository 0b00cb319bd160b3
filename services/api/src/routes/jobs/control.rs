//! Cancelling and retrying jobs.

use axum::extract::State;
use axum::http::StatusCode;
use retouch_domain::{JobId, JobState};
use retouch_ports::store::{Canceled, Retried};

use super::find;
use crate::app::App;
use crate::door::Writer;
use crate::extract::Path;
use crate::gate;
use crate::objects::JobObject;
use crate::problem::{Answer, Problem};

/// Cancel a job.
///
/// At once if it waits, within a step if it runs (202). One that is canceled already stays so.
#[utoipa::path(
    post, path = "/v1/jobs/{job}/cancel", tag = "jobs", security(("key" = ["write"])),
    params(("job" = String, Path, description = "The id of the job")),
    responses(
        (status = OK, body = JobObject), (status = ACCEPTED, body = JobObject),
        (status = CONFLICT, body = Problem, description = "It is over"), (status = "4XX", body = Problem)
    )
)]
pub(super) async fn cancel_job(
    Writer(tenant): Writer,
    State(app): State<App>,
    Path(job): Path<JobId>,
) -> Answer<(StatusCode, axum::Json<JobObject>)> {
    let status = match app.store.cancel_job(tenant, job).await? {
        Canceled::Now | Canceled::TooLate(JobState::Canceled) => StatusCode::OK,
        Canceled::Requested => StatusCode::ACCEPTED,
        Canceled::TooLate(state) => {
            let detail = format!("the job is over: it is {}", state.code());
            return Err(Problem::conflict("job_over", detail));
        }
    };
    Ok((status, axum::Json(find(&app, tenant, job).await?.into())))
}

/// Give a failed, canceled or expired job another run.
#[utoipa::path(
    post, path = "/v1/jobs/{job}/retry", tag = "jobs", security(("key" = ["write"])),
    params(("job" = String, Path, description = "The id of the job")),
    responses(
        (status = OK, body = JobObject),
        (status = CONFLICT, body = Problem, description = "It has not failed"), (status = "4XX", body = Problem)
    )
)]
pub(super) async fn retry_job(
    Writer(tenant): Writer,
    State(app): State<App>,
    Path(job): Path<JobId>,
) -> Answer<axum::Json<JobObject>> {
    if let Retried::Refused(state) = app.store.retry_job(tenant, job).await? {
        let detail = format!("only a failed, canceled or expired job is retried: it is {}", state.code());
        return Err(Problem::conflict("not_retryable", detail));
    }
    let record = find(&app, tenant, job).await?;
    gate::dispatch(&app, &record.spec.pool);
    Ok(axum::Json(record.into()))
}
