//! What users do to webhooks.

use axum::extract::State;
use axum::http::StatusCode;
use retouch_domain::WebhookId;
use retouch_domain::webhook::SECRET_OVERLAP;

use super::{SecretWebhookObject, WebhookObject, find, new_secret, with_secret};
use crate::app::App;
use crate::door::Writer;
use crate::extract::Path;
use crate::problem::{Answer, Problem};

/// Delete a webhook with its deliveries.
#[utoipa::path(
    delete, path = "/v1/webhooks/{webhook}", tag = "webhooks", security(("key" = ["write"])),
    params(("webhook" = String, Path, description = "The id of the webhook")),
    responses((status = NO_CONTENT), (status = "4XX", body = Problem))
)]
pub(super) async fn delete_webhook(
    Writer(tenant): Writer,
    State(app): State<App>,
    Path(webhook): Path<WebhookId>,
) -> Answer<StatusCode> {
    app.store.delete_webhook(tenant, webhook).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Give a webhook another secret.
///
/// For 24 hours messages carry a signature by the secret until now as well, so that nothing is refused meanwhile; the secret
/// before that one no longer signs.
#[utoipa::path(
    post, path = "/v1/webhooks/{webhook}/rotate", tag = "webhooks", security(("key" = ["write"])),
    params(("webhook" = String, Path, description = "The id of the webhook")),
    responses((status = OK, body = SecretWebhookObject), (status = "4XX", body = Problem))
)]
pub(super) async fn rotate_secret(
    Writer(tenant): Writer,
    State(app): State<App>,
    Path(webhook): Path<WebhookId>,
) -> Answer<axum::Json<SecretWebhookObject>> {
    let secret = new_secret();
    app.store.rotate_secret(tenant, webhook, &secret, SECRET_OVERLAP).await?;
    with_secret(&app, tenant, webhook, &secret).await
}

/// Send to a webhook again that was disabled, and what waits at once.
#[utoipa::path(
    post, path = "/v1/webhooks/{webhook}/enable", tag = "webhooks", security(("key" = ["write"])),
    params(("webhook" = String, Path, description = "The id of the webhook")),
    responses((status = OK, body = WebhookObject), (status = "4XX", body = Problem))
)]
pub(super) async fn enable_webhook(
    Writer(tenant): Writer,
    State(app): State<App>,
    Path(webhook): Path<WebhookId>,
) -> Answer<axum::Json<WebhookObject>> {
    app.store.enable_webhook(tenant, webhook).await?;
    Ok(axum::Json(find(&app, tenant, webhook).await?.into()))
}

/// Send nothing to a webhook until it is enabled.
///
/// What waits is held; what happens meanwhile is not told.
#[utoipa::path(
    post, path = "/v1/webhooks/{webhook}/disable", tag = "webhooks", security(("key" = ["write"])),
    params(("webhook" = String, Path, description = "The id of the webhook")),
    responses((status = OK, body = WebhookObject), (status = "4XX", body = Problem))
)]
pub(super) async fn disable_webhook(
    Writer(tenant): Writer,
    State(app): State<App>,
    Path(webhook): Path<WebhookId>,
) -> Answer<axum::Json<WebhookObject>> {
    app.store.disable_webhook(tenant, webhook).await?;
    Ok(axum::Json(find(&app, tenant, webhook).await?.into()))
}
