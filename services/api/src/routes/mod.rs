//! The routes.

pub(crate) mod batches;
mod datasets;
pub(crate) mod docs;
mod edits;
pub(crate) mod files;
mod fleet;
pub(crate) mod jobs;
mod keys;
mod operations;
mod usage;
mod webhooks;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa_axum::router::OpenApiRouter;

use crate::app::App;

/// What is stored is told, where it is looked at, and that this is worth it in a second.
fn accepted(url: String, receipt: impl Serialize) -> Response {
    let headers = [(header::LOCATION, url), (header::RETRY_AFTER, "1".to_owned())];
    (StatusCode::ACCEPTED, headers, axum::Json(receipt)).into_response()
}

/// All of them, with their part of the OpenAPI document.
pub(crate) fn all() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .merge(operations::router())
        .merge(keys::router())
        .merge(files::router())
        .merge(edits::router())
        .merge(datasets::router())
        .merge(batches::router())
        .merge(jobs::router())
        .merge(fleet::router())
        .merge(usage::router())
        .merge(webhooks::router())
}
