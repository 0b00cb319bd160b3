//! `GET …/events`.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use retouch_domain::JobId;

use super::find;
use crate::app::App;
use crate::door::Reader;
use crate::extract::Path;
use crate::feed::{self, EventObject, Subject};
use crate::problem::{Answer, Problem};

/// Follow what happens to a job, until it is over.
///
/// As server-sent events; `Last-Event-ID` goes on behind an event.
#[utoipa::path(
    get, path = "/v1/jobs/{job}/events", tag = "jobs", security(("key" = ["read"])),
    params(
        ("job" = String, Path, description = "The id of the job"),
        ("Last-Event-ID" = Option<String>, Header, description = "The `id` of the last event that you have")
    ),
    responses(
        (status = OK, body = EventObject, content_type = "text/event-stream", description = "An event for each entry"),
        (status = "4XX", body = Problem)
    )
)]
pub(super) async fn get_job_events(
    Reader(tenant): Reader,
    State(app): State<App>,
    Path(job): Path<JobId>,
    headers: HeaderMap,
) -> Answer<Response> {
    find(&app, tenant, job).await?;
    feed::follow(app, tenant, Subject::Job(job), &headers).await
}
