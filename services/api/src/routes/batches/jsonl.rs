//! What came of a batch's jobs, one JSON object a line, also while it runs.

use std::collections::VecDeque;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, stream};
use retouch_domain::{BatchId, JobId, JobState, TenantId};
use retouch_ports::PortError;
use retouch_ports::store::Page;

use super::find;
use crate::app::App;
use crate::door::Reader;
use crate::extract::Path;
use crate::objects::JobObject;
use crate::problem::{Answer, Problem};

/// Jobs that are read together.
const PAGE: u32 = 200;

/// The jobs of a batch that succeeded so far, one in each line.
#[utoipa::path(
    get, path = "/v1/batches/{batch}/results.jsonl", tag = "batches", security(("key" = ["read"])),
    params(("batch" = String, Path, description = "The id of the batch")),
    responses(
        (status = OK, body = JobObject, content_type = "application/jsonl", description = "A job in each line"),
        (status = "4XX", body = Problem)
    )
)]
pub(super) async fn get_results(
    Reader(tenant): Reader,
    State(app): State<App>,
    Path(batch): Path<BatchId>,
) -> Answer<Response> {
    find(&app, tenant, batch).await?;
    Ok(answer(jobs(app, tenant, batch, &[JobState::Succeeded])))
}

/// The jobs of a batch that ended without a result so far, one in each line.
#[utoipa::path(
    get, path = "/v1/batches/{batch}/errors.jsonl", tag = "batches", security(("key" = ["read"])),
    params(("batch" = String, Path, description = "The id of the batch")),
    responses(
        (status = OK, body = JobObject, content_type = "application/jsonl", description = "A job in each line"),
        (status = "4XX", body = Problem)
    )
)]
pub(super) async fn get_errors(
    Reader(tenant): Reader,
    State(app): State<App>,
    Path(batch): Path<BatchId>,
) -> Answer<Response> {
    find(&app, tenant, batch).await?;
    Ok(answer(jobs(app, tenant, batch, &[JobState::Failed, JobState::Canceled, JobState::Expired])))
}

/// Lines as the body of an answer.
pub(super) fn answer(lines: impl Stream<Item = Result<Bytes, PortError>> + Send + 'static) -> Response {
    ([(header::CONTENT_TYPE, "application/jsonl")], Body::from_stream(lines)).into_response()
}

/// An object as a line.
pub(super) fn line(object: &impl serde::Serialize) -> Bytes {
    // Objects hold texts, numbers and lists: JSON can say all of it.
    let mut line = serde_json::to_vec(object).unwrap_or_default();
    line.push(b'\n');
    line.into()
}

/// The jobs in these states, a page of lines at a time.
fn jobs(
    app: App,
    tenant: TenantId,
    batch: BatchId,
    states: &[JobState],
) -> impl Stream<Item = Result<Bytes, PortError>> + Send + 'static {
    let place: (VecDeque<JobState>, Option<JobId>) = (states.iter().copied().collect(), None);
    stream::try_unfold((app, place), move |(app, (mut states, mut after))| async move {
        while let Some(state) = states.front().copied() {
            let jobs = app.store.jobs(tenant, batch, Some(state), Page { after, limit: PAGE }).await?;
            after = jobs.last().map(|job| job.spec.id);
            if after.is_none() {
                states.pop_front();
                continue;
            }
            let lines: Vec<u8> = jobs.into_iter().flat_map(|job| line(&JobObject::from(job))).collect();
            return Ok(Some((Bytes::from(lines), (app, (states, after)))));
        }
        Ok(None)
    })
}
