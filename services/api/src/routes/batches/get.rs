//! Looking at batches and their jobs.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use retouch_domain::{BatchId, BatchState, JobState};
use retouch_ports::live::Topic;
use retouch_ports::store::{BatchFilter, BatchRecord};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::find;
use crate::app::App;
use crate::door::Reader;
use crate::extract::{Path, Query};
use crate::list;
use crate::objects::{BatchObject, JobObject};
use crate::problem::{Answer, Problem};
use crate::routes::jobs::Wait;
use crate::watch;

/// In which order batches are listed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Order {
    /// From the oldest on.
    #[default]
    Oldest,
    /// From the newest back.
    Newest,
}

/// Which batches, and in which order.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct BatchesQuery {
    /// What the answer before called `next`; the first part if absent.
    after: Option<String>,
    /// The most batches; 50 if absent.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// Only batches in this state: `loading`, `open`, `completed`, `canceled` or `failed`.
    state: Option<String>,
    /// Only batches that you call so.
    label: Option<String>,
    /// Which come first; the oldest if absent.
    #[serde(default)]
    order: Order,
}

/// A part of the list of batches.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct BatchList {
    /// The batches.
    batches: Vec<BatchObject>,
    /// What `after` says for the next part; absent with the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// List the batches, all or those in one state or of one label.
#[utoipa::path(
    get, path = "/v1/batches", tag = "batches", security(("key" = ["read"])), params(BatchesQuery),
    responses((status = OK, body = BatchList), (status = "4XX", body = Problem))
)]
pub(super) async fn list_batches(
    Reader(tenant): Reader,
    State(app): State<App>,
    Query(query): Query<BatchesQuery>,
) -> Answer<axum::Json<BatchList>> {
    let page = list::page(query.after.as_deref(), query.limit)?;
    let state = query.state.as_deref().map(|code| {
        let message = format!("use one of {}", BatchState::ALL.map(BatchState::code).join(", "));
        BatchState::from_code(code).ok_or_else(|| Problem::invalid_part("state", "not_a_state", message))
    });
    let filter = BatchFilter {
        state: state.transpose()?,
        label: query.label.as_deref(),
        newest_first: query.order == Order::Newest,
    };
    let batches = app.store.batches(tenant, filter, page).await?;
    let next = list::next(batches.len(), page.limit, batches.last().map(|batch| batch.id));
    Ok(axum::Json(BatchList { batches: batches.into_iter().map(BatchObject::from).collect(), next }))
}

/// Look at a batch.
///
/// With `wait` the answer comes when the batch is over, or changed from what `If-None-Match` names, or the wait is.
#[utoipa::path(
    get, path = "/v1/batches/{batch}", tag = "batches", security(("key" = ["read"])),
    params(("batch" = String, Path, description = "The id of the batch"), Wait),
    responses(
        (status = OK, body = BatchObject), (status = NOT_MODIFIED, description = "You have it"),
        (status = "4XX", body = Problem)
    )
)]
pub(super) async fn get_batch(
    Reader(tenant): Reader,
    State(app): State<App>,
    Path(batch): Path<BatchId>,
    Query(wait): Query<Wait>,
    headers: HeaderMap,
) -> Answer<Response> {
    let seen = &app;
    let read = move || find(seen, tenant, batch);
    let wanted = |record: &BatchRecord| {
        let over = !matches!(record.state, BatchState::Loading | BatchState::Open);
        over || watch::is_news(&BatchObject::from(record.clone()), &headers)
    };
    let record = watch::until(&app, Topic::Batch(batch), wait.length()?, read, wanted).await?;
    Ok(watch::tagged(&BatchObject::from(record), &headers))
}

/// Which jobs of a batch.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct JobFilter {
    /// What the answer before called `next`; the first part if absent.
    after: Option<String>,
    /// The most jobs; 50 if absent.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
    /// Only jobs in this state.
    state: Option<String>,
}

/// A part of the list of a batch's jobs.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct JobList {
    /// The jobs in the order of their rows.
    jobs: Vec<JobObject>,
    /// What `after` says for the next part; absent with the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// List the jobs of a batch, all or those in one state.
#[utoipa::path(
    get, path = "/v1/batches/{batch}/jobs", tag = "batches", security(("key" = ["read"])),
    params(("batch" = String, Path, description = "The id of the batch"), JobFilter),
    responses((status = OK, body = JobList), (status = "4XX", body = Problem))
)]
pub(super) async fn list_batch_jobs(
    Reader(tenant): Reader,
    State(app): State<App>,
    Path(batch): Path<BatchId>,
    Query(filter): Query<JobFilter>,
) -> Answer<axum::Json<JobList>> {
    find(&app, tenant, batch).await?;
    let page = list::page(filter.after.as_deref(), filter.limit)?;
    let state = filter.state.as_deref().map(|code| {
        let message = format!("use one of {}", JobState::ALL.map(JobState::code).join(", "));
        JobState::from_code(code).ok_or_else(|| Problem::invalid_part("state", "not_a_state", message))
    });
    let jobs = app.store.jobs(tenant, batch, state.transpose()?, page).await?;
    let next = list::next(jobs.len(), page.limit, jobs.last().map(|job| job.spec.id));
    Ok(axum::Json(JobList { jobs: jobs.into_iter().map(JobObject::from).collect(), next }))
}
