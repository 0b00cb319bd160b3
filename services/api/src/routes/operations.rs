//! For operators and their tools: whether the process is well, and what it has to do.

use std::error::Error;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use prometheus::{Encoder, GaugeVec, Opts, Registry, TextEncoder};
use retouch_ports::PortError;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::problem::{Answer, Problem};

pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(check_health))
        .routes(routes!(check_readiness))
        .routes(routes!(get_version))
        .routes(routes!(get_metrics))
}

/// Whether the process runs. Asks no backend.
#[utoipa::path(get, path = "/healthz", tag = "operations", responses((status = OK, body = String)))]
async fn check_health() -> &'static str {
    "ok\n"
}

/// Which backends answer.
#[derive(Serialize, ToSchema)]
struct Readiness {
    /// Whether requests can be served: all but `live` answer, and the process is not stopping.
    ready: bool,
    /// The database.
    store: bool,
    /// The broker.
    queue: bool,
    /// The files.
    blobs: bool,
    /// Progress, events, limits; without it the API goes on.
    live: bool,
}

/// Whether requests can be served.
#[utoipa::path(
    get, path = "/readyz", tag = "operations",
    responses((status = OK, body = Readiness), (status = SERVICE_UNAVAILABLE, body = Readiness))
)]
async fn check_readiness(State(app): State<App>) -> Response {
    let store = async { app.store.now().await.map(|_| ()) };
    let (store, queue, blobs, live) =
        tokio::join!(store, app.queue.check(), app.blobs.check(), app.live.check());
    let (store, queue) = (answers("store", store), answers("queue", queue));
    let (blobs, live) = (answers("blobs", blobs), answers("live", live));
    let ready = store && queue && blobs && !app.stop.is_cancelled();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, axum::Json(Readiness { ready, store, queue, blobs, live })).into_response()
}

fn answers(backend: &'static str, check: Result<(), PortError>) -> bool {
    if let Err(error) = &check {
        tracing::warn!(error = error as &dyn Error, backend, "a backend does not answer");
    }
    check.is_ok()
}

/// What runs.
#[derive(Serialize, ToSchema)]
struct Version {
    /// The release.
    version: &'static str,
}

/// Which release runs.
#[utoipa::path(get, path = "/version", tag = "operations", responses((status = OK, body = Version)))]
async fn get_version() -> axum::Json<Version> {
    axum::Json(Version { version: env!("CARGO_PKG_VERSION") })
}

/// Figures in the text format of Prometheus.
#[utoipa::path(
    get, path = "/metrics", tag = "operations",
    responses((status = OK, body = String), (status = SERVICE_UNAVAILABLE, body = Problem))
)]
async fn get_metrics(State(app): State<App>) -> Answer<Response> {
    let mut families = app.figures.gather();
    families.extend(backlog(&app).await?);
    let encoder = TextEncoder::new();
    let mut text = Vec::new();
    encoder.encode(&families, &mut text).map_err(|error| {
        tracing::error!(error = &error as &dyn Error, "figures cannot be written");
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "the figures cannot be written")
    })?;
    Ok(([(header::CONTENT_TYPE, encoder.format_type().to_owned())], text).into_response())
}

/// What waits and runs, as the store has it at this moment.
async fn backlog(app: &App) -> Result<Vec<prometheus::proto::MetricFamily>, PortError> {
    let registry = Registry::new();
    let gauge = |name: &str, help: &str| {
        let gauge = GaugeVec::new(Opts::new(name, help), &["pool", "band"]).expect("the name is valid");
        registry.register(Box::new(gauge.clone())).expect("nothing else has this name");
        gauge
    };
    let depth = gauge("retouch_queue_depth", "Jobs that wait, with and without a ticket.");
    let cost = gauge("retouch_queue_cost_seconds", "Estimated device time of jobs without a ticket.");
    let running = gauge("retouch_jobs_running", "Jobs that run.");
    for line in app.store.backlog().await? {
        let labels = [line.pool.as_str(), line.band.code()];
        depth.with_label_values(&labels).set((line.queued + line.dispatched) as f64);
        cost.with_label_values(&labels).set(line.queued_cost_ms as f64 / 1000.0);
        running.with_label_values(&labels).set(line.running as f64);
    }
    Ok(registry.gather())
}
