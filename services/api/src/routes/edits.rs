//! `POST /v1/edits`: one edit.

use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use retouch_domain::{BatchId, JobId, NewBatch, TenantId};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::door::Writer;
use crate::extract::{Hashed, Query};
use crate::gate;
use crate::objects::JobObject;
use crate::problem::{Answer, Problem};
use crate::routes::batches::BandSpec;
use crate::routes::{accepted, files, jobs};
use crate::watch;
use crate::work::expand::Row;
use crate::work::load::Meta;
use crate::work::once::{self, Once};
use crate::work::spec::JobSpec;

pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(create_edit))
}

/// How an edit is treated.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct EditQuery {
    /// The priority class; `interactive` if absent.
    band: Option<BandSpec>,
}

/// An accepted edit.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
struct EditReceipt {
    /// The id of the job.
    id: String,
    /// The id of the batch that holds it alone.
    batch: String,
    /// Where it is looked at.
    url: String,
}

/// Edit one image.
///
/// Answers 202 as soon as the job is stored. With `Prefer: wait=N` (up to 60 seconds) it answers 200 with the job if that
/// ends in time. With `Idempotency-Key` the same request again is the same job.
#[utoipa::path(
    post, path = "/v1/edits", tag = "edits", security(("key" = ["write"])), request_body = JobSpec,
    params(
        EditQuery, ("Prefer" = Option<String>, Header, description = "`wait=30`: wait up to 30 seconds for the end"),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes the request have an effect once")
    ),
    responses(
        (status = OK, body = JobObject), (status = ACCEPTED, body = EditReceipt), (status = "4XX", body = Problem)
    )
)]
async fn create_edit(
    Writer(tenant): Writer,
    State(app): State<App>,
    Query(query): Query<EditQuery>,
    headers: HeaderMap,
    Hashed(row, body): Hashed<Row>,
) -> Answer<Response> {
    let once = once::read(&headers, "POST /v1/edits", &body)?;
    let receipt = match once::earlier(&app, tenant, once.as_ref()).await? {
        Some(receipt) => receipt,
        None => submit(&app, tenant, query.band.unwrap_or(BandSpec::Interactive), row, once).await?,
    };
    if let Some(wait) = preferred_wait(&headers) {
        let job = receipt.id.parse().map_err(|_| Problem::not_found("job"))?;
        let job = jobs::ended(&app, tenant, job, wait).await?;
        if job.state.is_terminal() {
            return Ok(axum::Json(JobObject::from(job)).into_response());
        }
    }
    Ok(accepted(receipt.url.clone(), receipt))
}

fn preferred_wait(headers: &HeaderMap) -> Option<Duration> {
    let preferred = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
    let wait = preferred.flat_map(|list| list.split(',')).find_map(|one| one.trim().strip_prefix("wait="));
    wait.and_then(|wait| watch::wait_of(wait).ok())
}

/// Stores the job in a batch of its own.
async fn submit(
    app: &App,
    tenant: TenantId,
    band: BandSpec,
    row: Row,
    once: Option<Once>,
) -> Answer<EditReceipt> {
    gate::enter(app).await?;
    let (id, batch) = (JobId::new(app.ids.uuid()), BatchId::new(app.ids.uuid()));
    if row.contains_key("key") {
        let message = "a single edit is made once by the header Idempotency-Key";
        return Err(Problem::invalid_part("key", "not_here", message));
    }
    let spec = JobSpec::read(row.into()).map_err(Problem::from)?;
    if let Some(file) = spec.file() {
        files::must_exist(app, tenant, file).await?;
    }
    let job = spec.into_job(id, tenant, &app.options).map_err(Problem::from)?;
    let url = format!("/v1/jobs/{id}");
    let receipt = EditReceipt { id: id.to_string(), batch: batch.to_string(), url };
    let meta = Meta::default().to_value()?;
    let batch = NewBatch { id: batch, tenant, band: band.into(), label: None, meta };
    let receipt = once::submit(app, &batch, &[job], receipt, once).await?;
    gate::dispatch(app, &app.options.pool);
    Ok(receipt)
}
