//! What came of a batch's jobs, one JSON object a line, also while it runs.

use std::collections::VecDeque;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, TryStreamExt, stream};
use retouch_domain::{BatchId, JobId, JobState, TenantId};
use retouch_ports::PortError;
use retouch_ports::store::{Cursor, JobRecord, Page};
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

use super::find;
use crate::app::App;
use crate::door::Reader;
use crate::extract::{Path, Query};
use crate::feed;
use crate::objects::JobObject;
use crate::problem::{Answer, Problem};

/// Jobs that are read together.
const PAGE: u32 = 200;
/// How a job ends without a result.
pub(super) const WITHOUT_RESULT: [JobState; 3] = [JobState::Failed, JobState::Canceled, JobState::Expired];

/// From where on.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Since {
    /// The `cursor` of the last line that you have, `0-0` before the first. Lines come in the order in which jobs ended, and
    /// each has its `cursor`; a job that ended just now may be left out until the next request.
    after: Option<String>,
}

/// A job, and the place of its end in the log.
#[derive(Serialize)]
struct Ending {
    #[serde(flatten)]
    job: JobObject,
    cursor: String,
}

/// The jobs of a batch that succeeded so far, one in each line.
///
/// In the order of their rows, or with `after` only those that are new to you.
#[utoipa::path(
    get, path = "/v1/batches/{batch}/results.jsonl", tag = "batches", security(("key" = ["read"])),
    params(("batch" = String, Path, description = "The id of the batch"), Since),
    responses(
        (status = OK, body = JobObject, content_type = "application/jsonl", description = "A job in each line"),
        (status = "4XX", body = Problem)
    )
)]
pub(super) async fn get_results(
    Reader(tenant): Reader,
    State(app): State<App>,
    Path(batch): Path<BatchId>,
    Query(since): Query<Since>,
) -> Answer<Response> {
    over(app, tenant, batch, &[JobState::Succeeded], &since).await
}

/// The jobs of a batch that ended without a result so far, one in each line.
///
/// In the order of their rows state by state, or with `after` only those that are new to you. One that is retried and ends so
/// again is new again.
#[utoipa::path(
    get, path = "/v1/batches/{batch}/errors.jsonl", tag = "batches", security(("key" = ["read"])),
    params(("batch" = String, Path, description = "The id of the batch"), Since),
    responses(
        (status = OK, body = JobObject, content_type = "application/jsonl", description = "A job in each line"),
        (status = "4XX", body = Problem)
    )
)]
pub(super) async fn get_errors(
    Reader(tenant): Reader,
    State(app): State<App>,
    Path(batch): Path<BatchId>,
    Query(since): Query<Since>,
) -> Answer<Response> {
    over(app, tenant, batch, &WITHOUT_RESULT, &since).await
}

/// The jobs that are over in these states, as lines.
async fn over(
    app: App,
    tenant: TenantId,
    batch: BatchId,
    states: &'static [JobState],
    since: &Since,
) -> Answer<Response> {
    find(&app, tenant, batch).await?;
    let Some(after) = &since.after else { return Ok(answer(jobs(app, tenant, batch, states))) };
    let after = feed::cursor(after).ok_or_else(|| {
        Problem::invalid_part("after", "not_a_cursor", "use the `cursor` of a line, or 0-0 for the beginning")
    })?;
    Ok(answer(endings(app, tenant, batch, states, after)))
}

/// Lines as the body of an answer.
pub(super) fn answer(lines: impl Stream<Item = Result<Bytes, PortError>> + Send + 'static) -> Response {
    ([(header::CONTENT_TYPE, "application/jsonl")], Body::from_stream(lines)).into_response()
}

/// An object as a line.
pub(super) fn line(object: &impl Serialize) -> Bytes {
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
    states: &'static [JobState],
) -> impl Stream<Item = Result<Bytes, PortError>> + Send + 'static {
    pages(app, tenant, batch, states).map_ok(|jobs| {
        let lines: Vec<u8> = jobs.into_iter().flat_map(|job| line(&JobObject::from(job))).collect();
        Bytes::from(lines)
    })
}

/// The jobs that ended in these states after a place in the log, a page of lines at a time.
fn endings(
    app: App,
    tenant: TenantId,
    batch: BatchId,
    states: &'static [JobState],
    after: Cursor,
) -> impl Stream<Item = Result<Bytes, PortError>> + Send + 'static {
    stream::try_unfold(Some(after), move |after| {
        let app = app.clone();
        async move {
            let Some(after) = after else { return Ok(None) };
            let ended = app.store.endings(tenant, batch, states, after, PAGE).await?;
            let more = ended.len() >= PAGE as usize;
            let next = ended.last().map(|(cursor, _)| *cursor).filter(|_| more);
            let object = |(cursor, job): (Cursor, JobRecord)| Ending {
                job: job.into(),
                cursor: feed::cursor_text(cursor),
            };
            let lines: Vec<u8> = ended.into_iter().flat_map(|ended| line(&object(ended))).collect();
            Ok(Some((Bytes::from(lines), next)))
        }
    })
}

/// The jobs in these states, state by state in the order of their ids, some at a time.
pub(super) fn pages(
    app: App,
    tenant: TenantId,
    batch: BatchId,
    states: &'static [JobState],
) -> impl Stream<Item = Result<Vec<JobRecord>, PortError>> + Send + 'static {
    let place: (VecDeque<JobState>, Option<JobId>) = (states.iter().copied().collect(), None);
    stream::try_unfold((app, place), move |(app, (mut states, mut after))| async move {
        while let Some(state) = states.front().copied() {
            let jobs = app.store.jobs(tenant, batch, Some(state), Page { after, limit: PAGE }).await?;
            after = jobs.last().map(|job| job.spec.id);
            if after.is_none() {
                states.pop_front();
                continue;
            }
            return Ok(Some((jobs, (app, (states, after)))));
        }
        Ok(None)
    })
}
