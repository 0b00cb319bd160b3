//! Making webhooks.

use axum::extract::State;
use axum::http::StatusCode;
use retouch_domain::webhook::MAX_URL_BYTES;
use retouch_domain::{WebhookId, WebhookKind};
use retouch_ports::PortErrorKind;
use retouch_ports::store::NewWebhook;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{EventSpec, SecretWebhookObject, new_secret, with_secret};
use crate::app::App;
use crate::door::Writer;
use crate::extract::Json;
use crate::problem::{Answer, Problem};

/// A webhook to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WebhookRequest {
    /// Where messages are posted: a public address.
    #[schema(max_length = 2048)]
    url: String,
    /// What it is told of; everything if absent.
    events: Option<Vec<EventSpec>>,
}

/// Make a webhook.
///
/// Each event is posted to its URL as Standard Webhooks 1.0.0 has it: `{"type", "timestamp", "data"}`, signed with the secret
/// of this answer, and tried for three days until it answers with 200 to 299. Redirects are not followed, and an answer
/// with 410 disables it.
#[utoipa::path(
    post, path = "/v1/webhooks", tag = "webhooks", security(("key" = ["write"])), request_body = WebhookRequest,
    responses(
        (status = CREATED, body = SecretWebhookObject),
        (status = CONFLICT, body = Problem, description = "There are as many as may be"),
        (status = "4XX", body = Problem)
    )
)]
pub(super) async fn create_webhook(
    Writer(tenant): Writer,
    State(app): State<App>,
    Json(request): Json<WebhookRequest>,
) -> Answer<(StatusCode, axum::Json<SecretWebhookObject>)> {
    check_url(&app, &request.url).await?;
    let kinds = kinds(request.events)?;
    let (id, secret) = (WebhookId::new(app.ids.uuid()), new_secret());
    let webhook = NewWebhook { id, tenant, url: request.url, kinds, secret };
    app.store.add_webhook(&webhook).await.map_err(|error| match error.kind() {
        PortErrorKind::Conflict => Problem::conflict("webhooks_too_many", error.to_string()),
        _ => error.into(),
    })?;
    Ok((StatusCode::CREATED, with_secret(&app, tenant, id, &webhook.secret).await?))
}

async fn check_url(app: &App, url: &str) -> Answer<()> {
    if url.len() > MAX_URL_BYTES {
        return Err(Problem::invalid_part("url", "too_large", format!("use at most {MAX_URL_BYTES} bytes")));
    }
    let checked = app.post.check(url).await;
    checked.map_err(|error| Problem::invalid_part("url", error.code(), error.to_string()))
}

/// What was chosen, each once.
fn kinds(events: Option<Vec<EventSpec>>) -> Answer<Vec<WebhookKind>> {
    let Some(events) = events else { return Ok(WebhookKind::CHOICE.to_vec()) };
    if events.is_empty() {
        let message = "name at least one, or leave it out for all";
        return Err(Problem::invalid_part("events", "too_few", message));
    }
    let chosen: Vec<WebhookKind> = events.into_iter().map(WebhookKind::from).collect();
    Ok(WebhookKind::CHOICE.into_iter().filter(|kind| chosen.contains(kind)).collect())
}
