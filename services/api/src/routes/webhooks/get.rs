//! Looking at webhooks.

use axum::extract::State;
use retouch_domain::WebhookId;
use serde::Serialize;
use utoipa::ToSchema;

use super::{WebhookObject, find};
use crate::app::App;
use crate::door::Reader;
use crate::extract::{Path, Query};
use crate::list::{self, Part};
use crate::problem::{Answer, Problem};

/// A part of the list of webhooks.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct WebhookList {
    /// The webhooks in order of their ids.
    webhooks: Vec<WebhookObject>,
    /// What `after` says for the next part; absent with the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// List the webhooks.
#[utoipa::path(
    get, path = "/v1/webhooks", tag = "webhooks", security(("key" = ["read"])), params(Part),
    responses((status = OK, body = WebhookList), (status = "4XX", body = Problem))
)]
pub(super) async fn list_webhooks(
    Reader(tenant): Reader,
    State(app): State<App>,
    Query(part): Query<Part>,
) -> Answer<axum::Json<WebhookList>> {
    let page = part.page()?;
    let webhooks = app.store.webhooks(tenant, page).await?;
    let next = list::next(webhooks.len(), page.limit, webhooks.last().map(|webhook| webhook.id));
    Ok(axum::Json(WebhookList { webhooks: webhooks.into_iter().map(WebhookObject::from).collect(), next }))
}

/// Look at a webhook.
#[utoipa::path(
    get, path = "/v1/webhooks/{webhook}", tag = "webhooks", security(("key" = ["read"])),
    params(("webhook" = String, Path, description = "The id of the webhook")),
    responses((status = OK, body = WebhookObject), (status = "4XX", body = Problem))
)]
pub(super) async fn get_webhook(
    Reader(tenant): Reader,
    State(app): State<App>,
    Path(webhook): Path<WebhookId>,
) -> Answer<axum::Json<WebhookObject>> {
    Ok(axum::Json(find(&app, tenant, webhook).await?.into()))
}
