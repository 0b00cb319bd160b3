//! Batches.

mod archive;
mod control;
mod create;
mod delete;
mod events;
mod get;
mod jsonl;
mod verdicts;

pub(crate) use create::{Rows, check_metadata};
use retouch_domain::{Band, BatchId, TenantId};
use retouch_ports::store::BatchRecord;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::problem::{Answer, Problem};

pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(create::create_batch, get::list_batches))
        .routes(routes!(get::get_batch, control::move_batch, delete::delete_batch))
        .routes(routes!(get::list_batch_jobs))
        .routes(routes!(verdicts::get_verdicts))
        .routes(routes!(jsonl::get_results))
        .routes(routes!(jsonl::get_errors))
        .routes(routes!(archive::get_archive))
        .routes(routes!(events::get_batch_events))
        .routes(routes!(control::cancel_batch))
        .routes(routes!(control::retry_batch))
        .routes(routes!(control::pause_batch))
        .routes(routes!(control::resume_batch))
}

/// A priority class. A lower one still gets its share.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum BandSpec {
    /// Somebody waits in front of it.
    Interactive,
    /// Somebody waits for it today.
    Standard,
    /// Whenever there is room.
    Bulk,
}

impl From<BandSpec> for Band {
    fn from(band: BandSpec) -> Self {
        match band {
            BandSpec::Interactive => Self::Interactive,
            BandSpec::Standard => Self::Standard,
            BandSpec::Bulk => Self::Bulk,
        }
    }
}

/// The tenant's batch of this id.
async fn find(app: &App, tenant: TenantId, batch: BatchId) -> Answer<BatchRecord> {
    app.store.batch(tenant, batch).await?.ok_or_else(|| Problem::not_found("batch"))
}
