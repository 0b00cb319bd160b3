//! Webhooks: who is told of the ends of batches, as Standard Webhooks 1.0.0 has it.

mod control;
mod create;
mod deliveries;
mod get;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rand::RngCore;
use retouch_domain::{TenantId, WebhookId, WebhookKind};
use retouch_ports::store::{WebhookRecord, WebhookSecret};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::moment;
use crate::problem::{Answer, Problem};

pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(create::create_webhook, get::list_webhooks))
        .routes(routes!(get::get_webhook, control::delete_webhook))
        .routes(routes!(control::rotate_secret))
        .routes(routes!(control::enable_webhook))
        .routes(routes!(control::disable_webhook))
        .routes(routes!(deliveries::test_webhook))
        .routes(routes!(deliveries::list_deliveries))
        .routes(routes!(deliveries::get_delivery))
        .routes(routes!(deliveries::redeliver))
}

/// What a webhook can be told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
enum EventSpec {
    /// All jobs of a batch are over, however they ended.
    #[serde(rename = "batch.completed")]
    Completed,
    /// A batch was called off and all of its jobs are over.
    #[serde(rename = "batch.canceled")]
    Canceled,
    /// The loading of a batch was given up.
    #[serde(rename = "batch.failed")]
    Failed,
}

impl From<EventSpec> for WebhookKind {
    fn from(event: EventSpec) -> Self {
        match event {
            EventSpec::Completed => Self::BatchCompleted,
            EventSpec::Canceled => Self::BatchCanceled,
            EventSpec::Failed => Self::BatchFailed,
        }
    }
}

/// A webhook as it stands.
#[derive(Debug, Serialize, ToSchema)]
struct WebhookObject {
    /// Its id.
    id: String,
    /// The endpoint.
    url: String,
    /// What it is told of.
    events: Vec<&'static str>,
    /// Whether anything is sent to it.
    enabled: bool,
    /// Why nothing is: `by_owner`, `gone` (it answered with 410), or `failing` (it took nothing for three days).
    disabled_reason: Option<&'static str>,
    /// Since when nothing is.
    disabled_at: Option<String>,
    /// Until when the secret before the present one signs too.
    previous_secret_until: Option<String>,
    /// When it was made.
    created_at: String,
}

impl From<WebhookRecord> for WebhookObject {
    fn from(webhook: WebhookRecord) -> Self {
        Self {
            id: webhook.id.to_string(),
            url: webhook.url,
            events: webhook.kinds.iter().map(|kind| kind.code()).collect(),
            enabled: webhook.disabled.is_none(),
            disabled_reason: webhook.disabled.map(|(reason, _)| reason.code()),
            disabled_at: webhook.disabled.map(|(_, at)| moment::text(at)),
            previous_secret_until: webhook.previous_until.map(moment::text),
            created_at: moment::text(webhook.created_at),
        }
    }
}

/// A webhook with a new secret. No other answer holds the secret.
#[derive(Debug, Serialize, ToSchema)]
struct SecretWebhookObject {
    /// The webhook.
    #[serde(flatten)]
    webhook: WebhookObject,
    /// What messages are signed with. Keep it: it is not shown again.
    secret: String,
}

/// The tenant's webhook of this id.
async fn find(app: &App, tenant: TenantId, webhook: WebhookId) -> Answer<WebhookRecord> {
    app.store.webhook(tenant, webhook).await?.ok_or_else(|| Problem::not_found("webhook"))
}

/// A new secret: 256 random bits.
fn new_secret() -> WebhookSecret {
    let mut bytes = [0; 32];
    rand::rng().fill_bytes(&mut bytes);
    WebhookSecret(bytes)
}

/// The webhook with the secret that it has just got.
async fn with_secret(
    app: &App,
    tenant: TenantId,
    webhook: WebhookId,
    secret: &WebhookSecret,
) -> Answer<axum::Json<SecretWebhookObject>> {
    let webhook = find(app, tenant, webhook).await?.into();
    let secret = format!("whsec_{}", STANDARD.encode(secret.0));
    Ok(axum::Json(SecretWebhookObject { webhook, secret }))
}
