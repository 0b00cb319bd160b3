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

use utoipa_axum::router::OpenApiRouter;

use crate::app::App;

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
