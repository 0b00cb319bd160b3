//! What users do to batches.

use axum::extract::State;
use axum::http::StatusCode;
use retouch_domain::{BatchId, BatchState, TenantId};
use retouch_ports::{PortError, PortErrorKind};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{BandSpec, find};
use crate::app::App;
use crate::door::Writer;
use crate::extract::{Json, Path, Query};
use crate::gate;
use crate::objects::BatchObject;
use crate::problem::{Answer, Problem};

/// The batch as it stands afterwards.
type Afterwards = Answer<axum::Json<BatchObject>>;

async fn afterwards(app: &App, tenant: TenantId, batch: BatchId) -> Afterwards {
    Ok(axum::Json(find(app, tenant, batch).await?.into()))
}

/// What the store refused because of the batch's state, in words.
fn refused(error: PortError, state: BatchState) -> Problem {
    if error.kind() != PortErrorKind::Conflict {
        return error.into();
    }
    Problem::conflict("batch_state", format!("the batch is {}: {error}", state.code()))
}

/// What is canceled of a batch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum CancelScope {
    /// Everything that is not over.
    #[default]
    All,
    /// What waits; what runs goes on.
    Waiting,
}

/// How a batch is canceled.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct CancelQuery {
    /// What is canceled; all if absent.
    #[serde(default)]
    scope: CancelScope,
}

/// Cancel what is not over of a batch, or with `scope=waiting` only what does not run.
///
/// What waits at once, what runs within a step. A batch that is called off stays so.
#[utoipa::path(
    post, path = "/v1/batches/{batch}/cancel", tag = "batches", security(("key" = ["write"])),
    params(("batch" = String, Path, description = "The id of the batch"), CancelQuery),
    responses(
        (status = ACCEPTED, body = BatchObject),
        (status = CONFLICT, body = Problem, description = "It is over"), (status = "4XX", body = Problem)
    )
)]
pub(super) async fn cancel_batch(
    Writer(tenant): Writer,
    State(app): State<App>,
    Path(batch): Path<BatchId>,
    Query(query): Query<CancelQuery>,
) -> Answer<(StatusCode, axum::Json<BatchObject>)> {
    let record = find(&app, tenant, batch).await?;
    if record.state != BatchState::Canceled {
        let canceled = match query.scope {
            CancelScope::All => app.store.cancel_batch(tenant, batch).await.map(drop),
            CancelScope::Waiting => app.store.cancel_waiting_jobs(tenant, batch).await,
        };
        canceled.map_err(|error| refused(error, record.state))?;
    }
    Ok((StatusCode::ACCEPTED, afterwards(&app, tenant, batch).await?))
}

/// What a retry did.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RetryReceipt {
    /// How many jobs get another run.
    retried: u64,
}

/// Give every failed, canceled or expired job of a batch another run.
///
/// The batch opens again.
#[utoipa::path(
    post, path = "/v1/batches/{batch}/retry", tag = "batches", security(("key" = ["write"])),
    params(("batch" = String, Path, description = "The id of the batch")),
    responses((status = ACCEPTED, body = RetryReceipt), (status = "4XX", body = Problem))
)]
pub(super) async fn retry_batch(
    Writer(tenant): Writer,
    State(app): State<App>,
    Path(batch): Path<BatchId>,
) -> Answer<(StatusCode, axum::Json<RetryReceipt>)> {
    let record = find(&app, tenant, batch).await?;
    let retried = app.store.retry_batch(tenant, batch).await;
    let retried = retried.map_err(|error| refused(error, record.state))?;
    gate::dispatch_all(&app);
    Ok((StatusCode::ACCEPTED, axum::Json(RetryReceipt { retried })))
}

/// How a batch is paused.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct PauseQuery {
    /// Hand running jobs over as well, instead of letting them finish.
    now: Option<bool>,
}

/// Pause a batch: nothing of it starts until it is resumed.
#[utoipa::path(
    post, path = "/v1/batches/{batch}/pause", tag = "batches", security(("key" = ["write"])),
    params(("batch" = String, Path, description = "The id of the batch"), PauseQuery),
    responses(
        (status = OK, body = BatchObject),
        (status = CONFLICT, body = Problem, description = "It is over"), (status = "4XX", body = Problem)
    )
)]
pub(super) async fn pause_batch(
    Writer(tenant): Writer,
    State(app): State<App>,
    Path(batch): Path<BatchId>,
    Query(query): Query<PauseQuery>,
) -> Afterwards {
    must_be_open(&app, tenant, batch).await?;
    app.store.pause(tenant, batch, query.now == Some(true)).await?;
    afterwards(&app, tenant, batch).await
}

/// Let a paused batch go on.
#[utoipa::path(
    post, path = "/v1/batches/{batch}/resume", tag = "batches", security(("key" = ["write"])),
    params(("batch" = String, Path, description = "The id of the batch")),
    responses(
        (status = OK, body = BatchObject),
        (status = CONFLICT, body = Problem, description = "It is over"), (status = "4XX", body = Problem)
    )
)]
pub(super) async fn resume_batch(
    Writer(tenant): Writer,
    State(app): State<App>,
    Path(batch): Path<BatchId>,
) -> Afterwards {
    must_be_open(&app, tenant, batch).await?;
    app.store.resume(tenant, batch).await?;
    gate::dispatch_all(&app);
    afterwards(&app, tenant, batch).await
}

/// What is to change about a batch.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct BatchChange {
    /// The priority class from now on.
    band: BandSpec,
}

/// Move a batch to another band.
#[utoipa::path(
    patch, path = "/v1/batches/{batch}", tag = "batches", security(("key" = ["write"])), request_body = BatchChange,
    params(("batch" = String, Path, description = "The id of the batch")),
    responses(
        (status = OK, body = BatchObject),
        (status = CONFLICT, body = Problem, description = "It is over"), (status = "4XX", body = Problem)
    )
)]
pub(super) async fn move_batch(
    Writer(tenant): Writer,
    State(app): State<App>,
    Path(batch): Path<BatchId>,
    Json(change): Json<BatchChange>,
) -> Afterwards {
    must_be_open(&app, tenant, batch).await?;
    app.store.move_to_band(tenant, batch, change.band.into()).await?;
    gate::dispatch_all(&app);
    afterwards(&app, tenant, batch).await
}

async fn must_be_open(app: &App, tenant: TenantId, batch: BatchId) -> Answer<()> {
    let state = find(app, tenant, batch).await?.state;
    if state == BatchState::Open {
        return Ok(());
    }
    Err(Problem::conflict(
        "batch_state",
        format!("only an open batch can be changed: it is {}", state.code()),
    ))
}
