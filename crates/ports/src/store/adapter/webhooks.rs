//! What both stores say about webhooks, and what is told to them.

use retouch_domain::webhook::{MAX_URL_BYTES, MAX_WAITING_TESTS, MAX_WEBHOOKS};
use retouch_domain::{BatchId, BatchState, Counts, EventId, TenantId, WebhookId, WebhookKind};
use serde_json::{Value, json};

use super::{Unfolded, conflict};
use crate::store::{BatchOver, WebhookSecret};
use crate::{PortError, PortErrorKind};

/// Whether an endpoint can have this URL; where it leads is not for the store to check.
///
/// # Errors
/// `Invalid` if it is too long or holds the character NUL.
pub fn check_webhook_url(url: &str) -> Result<(), PortError> {
    if url.len() <= MAX_URL_BYTES && !url.contains('\0') {
        return Ok(());
    }
    let text = format!("the URL of a webhook has at most {MAX_URL_BYTES} bytes, and no character NUL");
    Err(PortError::new(PortErrorKind::Invalid, text))
}

/// The tenant has as many webhooks as it may have.
pub fn too_many_webhooks() -> PortError {
    conflict(format!("there are {MAX_WEBHOOKS} webhooks already, which is the most: delete one first"))
}

/// As many tests wait as may.
pub fn too_many_tests() -> PortError {
    conflict(format!("{MAX_WAITING_TESTS} tests of the webhook wait already: see its deliveries"))
}

/// Kinds as they are stored.
pub fn kinds(kinds: &[WebhookKind]) -> Value {
    kinds.iter().map(|kind| kind.code()).collect()
}

/// Kinds as they were stored; those that this build does not know are left out.
pub fn kinds_of(stored: &Value) -> Vec<WebhookKind> {
    let codes = stored.as_array().into_iter().flatten().filter_map(Value::as_str);
    codes.filter_map(WebhookKind::from_code).collect()
}

/// A secret as it was stored.
pub fn secret_of(stored: Vec<u8>) -> Option<WebhookSecret> {
    stored.try_into().ok().map(WebhookSecret)
}

/// What a test tells.
pub fn test_data(webhook: WebhookId) -> Value {
    json!({ "webhook": webhook.to_string() })
}

/// What is told of those of the batches that are over now: `tenant`, `event`, `kind`, `data`.
pub fn told(batches: &[Unfolded]) -> Vec<Value> {
    batches.iter().filter_map(|batch| batch.over().and_then(|over| told_of(&over, &batch.counts))).collect()
}

/// What is told of a batch whose loading was given up: nothing of it was ever counted, and it was opened never.
pub fn told_given_up(tenant: TenantId, batch: BatchId) -> Vec<Value> {
    let over = BatchOver { batch, tenant, state: BatchState::Failed, generation: 1 };
    told_of(&over, &Counts::default()).into_iter().collect()
}

fn told_of(over: &BatchOver, counts: &Counts) -> Option<Value> {
    let kind = WebhookKind::of(over.state)?;
    Some(json!({
        "tenant": over.tenant.to_string(),
        "event": EventId::of_batch(over.batch, over.generation).as_str(),
        "kind": kind.code(),
        "data": {
            "batch": over.batch.to_string(),
            "state": over.state.code(),
            "generation": over.generation,
            "counts": {
                "total": counts.total,
                "succeeded": counts.succeeded,
                "failed": counts.failed,
                "canceled": counts.canceled,
                "expired": counts.expired,
            },
        },
    }))
}
