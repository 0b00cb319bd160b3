//! What webhooks are told, and whether it arrived.

use axum::extract::State;
use axum::http::StatusCode;
use retouch_domain::{EventId, TenantId, WebhookId};
use retouch_ports::PortErrorKind;
use retouch_ports::store::DeliveryRecord;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::find;
use crate::app::App;
use crate::door::{Reader, Writer};
use crate::extract::{Path, Query};
use crate::list::{self, Part};
use crate::moment;
use crate::objects::ErrorObject;
use crate::problem::{Answer, Problem};

/// The webhook and the event in the path, as they stand there.
type Names = Result<axum::extract::Path<(String, String)>, axum::extract::rejection::PathRejection>;

/// A delivery as it stands.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DeliveryObject {
    /// The event's id: `webhook-id` of every attempt.
    id: String,
    /// The webhook that is told.
    webhook: String,
    /// What kind of thing happened: `batch.completed`, `batch.canceled`, `batch.failed` or `webhook.test`.
    #[serde(rename = "type")]
    kind: &'static str,
    /// What is told.
    #[schema(value_type = Object)]
    data: Value,
    /// `pending`, `delivered` or `failed`.
    state: &'static str,
    /// Attempts since it happened, or was last asked for.
    attempts: u32,
    /// When it is tried next.
    next_attempt_at: Option<String>,
    /// The status that the last attempt was answered with.
    response_status: Option<u16>,
    /// Why the last attempt failed.
    error: Option<ErrorObject>,
    /// When it happened.
    created_at: String,
    /// When it was delivered or given up.
    ended_at: Option<String>,
}

impl From<DeliveryRecord> for DeliveryObject {
    fn from(delivery: DeliveryRecord) -> Self {
        Self {
            id: delivery.event.to_string(),
            webhook: delivery.webhook.to_string(),
            kind: delivery.kind.code(),
            data: delivery.data,
            state: delivery.state.code(),
            attempts: delivery.attempts,
            next_attempt_at: delivery.due_at.map(moment::text),
            response_status: delivery.status,
            error: delivery.error.map(ErrorObject::from),
            created_at: moment::text(delivery.created_at),
            ended_at: delivery.ended_at.map(moment::text),
        }
    }
}

/// A part of the list of a webhook's deliveries.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DeliveryList {
    /// The deliveries, the newest first.
    deliveries: Vec<DeliveryObject>,
    /// What `after` says for the next part; absent with the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// Send a test to a webhook.
///
/// It is an event of type `webhook.test`, delivered as every other.
#[utoipa::path(
    post, path = "/v1/webhooks/{webhook}/test", tag = "webhooks", security(("key" = ["write"])),
    params(("webhook" = String, Path, description = "The id of the webhook")),
    responses(
        (status = ACCEPTED, body = DeliveryObject),
        (status = CONFLICT, body = Problem, description = "It is disabled, or many tests wait"),
        (status = "4XX", body = Problem)
    )
)]
pub(super) async fn test_webhook(
    Writer(tenant): Writer,
    State(app): State<App>,
    Path(webhook): Path<WebhookId>,
) -> Answer<(StatusCode, axum::Json<DeliveryObject>)> {
    must_be_enabled(&app, tenant, webhook).await?;
    let event = EventId::of_test(app.ids.uuid());
    app.store.add_test(tenant, webhook, &event).await.map_err(|error| match error.kind() {
        PortErrorKind::Conflict => Problem::conflict("tests_too_many", error.to_string()),
        _ => error.into(),
    })?;
    Ok((StatusCode::ACCEPTED, delivery(&app, tenant, webhook, &event).await?))
}

/// List the deliveries to a webhook, the newest first.
#[utoipa::path(
    get, path = "/v1/webhooks/{webhook}/deliveries", tag = "webhooks", security(("key" = ["read"])),
    params(("webhook" = String, Path, description = "The id of the webhook"), Part),
    responses((status = OK, body = DeliveryList), (status = "4XX", body = Problem))
)]
pub(super) async fn list_deliveries(
    Reader(tenant): Reader,
    State(app): State<App>,
    Path(webhook): Path<WebhookId>,
    Query(part): Query<Part>,
) -> Answer<axum::Json<DeliveryList>> {
    find(&app, tenant, webhook).await?;
    let page = part.page()?;
    let limit = page.limit;
    let deliveries = app.store.deliveries(tenant, webhook, page).await?;
    let next = list::next(deliveries.len(), limit, deliveries.last().map(|delivery| &delivery.event));
    let deliveries = deliveries.into_iter().map(DeliveryObject::from).collect();
    Ok(axum::Json(DeliveryList { deliveries, next }))
}

/// Look at a delivery.
#[utoipa::path(
    get, path = "/v1/webhooks/{webhook}/deliveries/{delivery}", tag = "webhooks", security(("key" = ["read"])),
    params(
        ("webhook" = String, Path, description = "The id of the webhook"),
        ("delivery" = String, Path, description = "The id of the event: `webhook-id`")
    ),
    responses((status = OK, body = DeliveryObject), (status = "4XX", body = Problem))
)]
pub(super) async fn get_delivery(
    Reader(tenant): Reader,
    State(app): State<App>,
    names: Names,
) -> Answer<axum::Json<DeliveryObject>> {
    let (webhook, event) = named(names)?;
    delivery(&app, tenant, webhook, &event).await
}

/// Deliver once more, whatever became of it.
///
/// At once, and then from the start of the schedule.
#[utoipa::path(
    post, path = "/v1/webhooks/{webhook}/deliveries/{delivery}/redeliver", tag = "webhooks",
    security(("key" = ["write"])),
    params(
        ("webhook" = String, Path, description = "The id of the webhook"),
        ("delivery" = String, Path, description = "The id of the event: `webhook-id`")
    ),
    responses(
        (status = ACCEPTED, body = DeliveryObject),
        (status = CONFLICT, body = Problem, description = "The webhook is disabled"),
        (status = "4XX", body = Problem)
    )
)]
pub(super) async fn redeliver(
    Writer(tenant): Writer,
    State(app): State<App>,
    names: Names,
) -> Answer<(StatusCode, axum::Json<DeliveryObject>)> {
    let (webhook, event) = named(names)?;
    must_be_enabled(&app, tenant, webhook).await?;
    app.store.redeliver(tenant, webhook, &event).await?;
    Ok((StatusCode::ACCEPTED, delivery(&app, tenant, webhook, &event).await?))
}

fn named(names: Names) -> Answer<(WebhookId, EventId)> {
    let missing = || Problem::not_found("delivery");
    let axum::extract::Path((webhook, event)) = names.map_err(|_| missing())?;
    Ok((webhook.parse().map_err(|_| missing())?, event.parse().map_err(|_| missing())?))
}

async fn delivery(
    app: &App,
    tenant: TenantId,
    webhook: WebhookId,
    event: &EventId,
) -> Answer<axum::Json<DeliveryObject>> {
    let found = app.store.delivery(tenant, webhook, event).await?;
    Ok(axum::Json(found.ok_or_else(|| Problem::not_found("delivery"))?.into()))
}

async fn must_be_enabled(app: &App, tenant: TenantId, webhook: WebhookId) -> Answer<()> {
    match find(app, tenant, webhook).await?.disabled {
        None => Ok(()),
        Some((reason, _)) => Err(Problem::conflict(
            "webhook_disabled",
            format!("the webhook is disabled ({}), so nothing is sent to it: enable it first", reason.code()),
        )),
    }
}
