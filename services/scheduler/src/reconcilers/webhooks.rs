//! Sends what webhooks are to be told, as Standard Webhooks 1.0.0 has it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::join_all;
use hmac::{Hmac, Mac};
use retouch_domain::{DeliveryRuling, ErrorCode, JobError};
use retouch_ports::post::LONGEST;
use retouch_ports::store::{AttemptEnded, DueDelivery};
use retouch_ports::{Clock, FetchError, Ids, JobStore, PortError, Post, moment};
use serde_json::json;
use sha2::Sha256;
use tokio_util::sync::CancellationToken;

use super::Reconciler;

/// How many deliveries one round sends, all at once.
const DELIVERIES: u32 = 32;
/// How many of them go to one endpoint: one that is slow leaves room for the others.
const EACH: u32 = 4;
/// How long nobody else sends what a round took: longer than an attempt and its record take.
const LEASE: Duration = LONGEST.saturating_mul(3);

/// The reconciler.
pub struct Webhooks {
    store: Arc<dyn JobStore>,
    post: Arc<dyn Post>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    stop: CancellationToken,
}

impl Webhooks {
    /// Sends through `post`. When `stop` is canceled nobody waits for slow endpoints: what is under way is due again when its
    /// lease ends.
    pub fn new(
        store: Arc<dyn JobStore>,
        post: Arc<dyn Post>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn Ids>,
        stop: CancellationToken,
    ) -> Self {
        Self { store, post, clock, ids, stop }
    }

    async fn deliver(&self, due: DueDelivery) -> Result<(), PortError> {
        let body = body(&due);
        let headers = headers(&due, &body, self.clock.now().micros() / 1_000_000);
        let answer = self.post.post(&due.url, &headers, body.into_bytes().into()).await;
        let status = answer.as_ref().ok().copied();
        let ruling = DeliveryRuling::of(status, due.attempt, self.ids.unit());
        let error = (ruling != DeliveryRuling::Delivered).then(|| error(&answer));
        let ended = AttemptEnded { fence: due.fence, ruling, status, error };
        let disabled = self.store.end_attempt(&ended).await?;
        let (webhook, event) = (ended.fence.webhook, &ended.fence.event);
        if ruling == DeliveryRuling::GivenUp {
            tracing::warn!(%webhook, %event, attempts = due.attempt, "a delivery was given up");
        }
        if let Some(reason) = disabled {
            tracing::warn!(%webhook, reason = reason.code(), "a webhook was disabled");
        }
        Ok(())
    }
}

#[async_trait]
impl Reconciler for Webhooks {
    fn name(&self) -> &'static str {
        "webhooks"
    }

    async fn round(&mut self) -> Result<bool, PortError> {
        let due = self.store.claim_deliveries(LEASE, DELIVERIES, EACH).await?;
        let more = !due.is_empty();
        // What cannot be put on record is due again when its lease ends.
        let all = join_all(due.into_iter().map(|due| self.deliver(due)));
        let Some(ended) = self.stop.run_until_cancelled(all).await else { return Ok(false) };
        ended.into_iter().collect::<Result<Vec<()>, _>>()?;
        Ok(more)
    }
}

/// The message: the same bytes in every attempt.
fn body(due: &DueDelivery) -> String {
    let timestamp = moment::text(due.created_at);
    json!({ "type": due.kind.code(), "timestamp": timestamp, "data": due.data }).to_string()
}

/// The headers of an attempt at `seconds` since 1970-01-01 UTC.
fn headers(due: &DueDelivery, body: &str, seconds: i64) -> [(&'static str, String); 3] {
    let (id, seconds) = (due.fence.event.to_string(), seconds.to_string());
    let signed = format!("{id}.{seconds}.{body}");
    let signatures: Vec<String> = due.secrets.iter().map(|secret| signature(&secret.0, &signed)).collect();
    [("webhook-id", id), ("webhook-timestamp", seconds), ("webhook-signature", signatures.join(" "))]
}

fn signature(key: &[u8], signed: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(signed.as_bytes());
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

/// Why an attempt failed, for the owner of the endpoint.
fn error(answer: &Result<u16, FetchError>) -> JobError {
    match answer {
        Ok(status @ 300..=399) => JobError {
            code: ErrorCode::new("webhook_redirects"),
            message: format!(
                "the endpoint answered with status {status}, and redirects are not followed: change its URL"
            ),
        },
        Ok(410) => JobError {
            code: ErrorCode::new("webhook_gone"),
            message: "the endpoint answered with status 410, so nothing is sent to it until it is enabled"
                .to_owned(),
        },
        Ok(status) => JobError {
            code: ErrorCode::new("webhook_status"),
            message: format!("the endpoint answered with status {status}: answer with 200 to 299"),
        },
        Err(error) => JobError { code: ErrorCode::new(error.code()), message: error.to_string() },
    }
}

#[cfg(test)]
mod tests {
    use retouch_domain::{EventId, TenantId, Timestamp, WebhookId, WebhookKind};
    use retouch_ports::store::{DeliveryFence, WebhookSecret};
    use uuid::Uuid;

    use super::*;

    /// The key, message and signature of the standard's own example
    /// (<https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>).
    #[test]
    fn a_signature_is_the_standards() {
        let key = STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signed = r#"msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.{"test": 2432232314}"#;
        assert_eq!(signature(&key, signed), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn every_secret_signs_and_the_message_stays_the_same() {
        let due = DueDelivery {
            fence: DeliveryFence {
                webhook: WebhookId::new(Uuid::from_u128(1)),
                event: EventId::of_test(Uuid::from_u128(2)),
                epoch: 1,
            },
            tenant: TenantId::new(Uuid::from_u128(3)),
            url: "https://example.com/".to_owned(),
            secrets: vec![WebhookSecret([1; 32]), WebhookSecret([2; 32])],
            kind: WebhookKind::Test,
            data: json!({"b": "đúng", "a": 1}),
            attempt: 1,
            created_at: Timestamp::from_micros(1_767_225_600_000_000),
        };
        let body = body(&due);
        let expected =
            r#"{"type":"webhook.test","timestamp":"2026-01-01T00:00:00Z","data":{"b":"đúng","a":1}}"#;
        assert_eq!(body, expected);
        let [(_, id), (_, at), (_, signatures)] = headers(&due, &body, 1_767_225_605);
        let signed = format!("{id}.{at}.{body}");
        let each = due.secrets.iter().map(|secret| signature(&secret.0, &signed)).collect::<Vec<_>>();
        assert_ne!(each[0], each[1]);
        assert_eq!(signatures, each.join(" "));
        assert_eq!((id.as_str(), at.as_str()), (due.fence.event.as_str(), "1767225605"));
    }
}
