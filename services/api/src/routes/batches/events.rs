//! `GET …/events`.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use retouch_domain::BatchId;

use super::find;
use crate::app::App;
use crate::door::Reader;
use crate::extract::Path;
use crate::feed::{self, EventObject, Subject};
use crate::problem::{Answer, Problem};

/// Follow what happens to a batch, until it is over.
///
/// As server-sent events; `Last-Event-ID` goes on behind an event.
#[utoipa::path(
    get, path = "/v1/batches/{batch}/events", tag = "batches", security(("key" = ["read"])),
    params(
        ("batch" = String, Path, description = "The id of the batch"),
        ("Last-Event-ID" = Option<String>, Header, description = "The `id` of the last event that you have")
    ),
    responses(
        (status = OK, body = EventObject, content_type = "text/event-stream", description = "An event for each entry"),
        (status = "4XX", body = Problem)
    )
)]
pub(super) async fn get_batch_events(
    Reader(tenant): Reader,
    State(app): State<App>,
    Path(batch): Path<BatchId>,
    headers: HeaderMap,
) -> Answer<Response> {
    find(&app, tenant, batch).await?;
    feed::follow(app, tenant, Subject::Batch(batch), &headers).await
}
