//! `DELETE /v1/batches/{batch}`.

use axum::extract::State;
use axum::http::StatusCode;
use retouch_domain::{BatchId, BatchState, TenantId};
use retouch_ports::files::batch_folder;

use super::find;
use crate::app::App;
use crate::door::Writer;
use crate::extract::Path;
use crate::problem::{Answer, Problem};

/// How many files are listed at a time.
const FILES: usize = 100;

/// Delete a batch that is over, with its jobs and their results.
///
/// Files that you uploaded stay.
#[utoipa::path(
    delete, path = "/v1/batches/{batch}", tag = "batches", security(("key" = ["write"])),
    params(("batch" = String, Path, description = "The id of the batch")),
    responses(
        (status = NO_CONTENT), (status = CONFLICT, body = Problem, description = "It is not over"),
        (status = "4XX", body = Problem)
    )
)]
pub(super) async fn delete_batch(
    Writer(tenant): Writer,
    State(app): State<App>,
    Path(batch): Path<BatchId>,
) -> Answer<StatusCode> {
    if matches!(find(&app, tenant, batch).await?.state, BatchState::Loading | BatchState::Open) {
        return Err(Problem::conflict("batch_state", "the batch is not over: cancel it first"));
    }
    delete_files(&app, tenant, batch).await?;
    app.store.delete_batch(tenant, batch).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn delete_files(app: &App, tenant: TenantId, batch: BatchId) -> Answer<()> {
    let folder = batch_folder(tenant, batch);
    let mut after: Option<String> = None;
    loop {
        let listed = app.blobs.list(&folder, after.as_deref(), FILES).await?;
        for key in listed.iter().filter_map(|blob| blob.key.parse().ok()) {
            app.blobs.delete(&key).await?;
        }
        match listed.last() {
            Some(last) if listed.len() >= FILES => after = Some(last.key.clone()),
            _ => return Ok(()),
        }
    }
}
