//! Deliveries to a real listener, on a clock that stands still until it is moved.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use retouch_bootstrap::backends::Process;
use retouch_bootstrap::{Settings, backends, stores};
use retouch_domain::webhook::{SECRET_OVERLAP, schedule_length};
use retouch_domain::{DeliveryState, Disabled, EventId, WebhookId, WebhookKind};
use retouch_ports::store::{DeliveryRecord, NewWebhook, WebhookRecord, WebhookSecret};
use retouch_ports::{Clock, Ids, Ports};
use retouch_scheduler::reconcilers::{Reconciler, webhooks::Webhooks};
use retouch_testkit::case::{eventually, soon};
use retouch_testkit::clock::ManualClock;
use retouch_testkit::ids::SeededIds;
use retouch_testkit::job_store::desk::Desk;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::endpoint::{Endpoint, Message, SILENCE};

/// A scheduler's reconciler, with a webhook of a tenant.
struct Site {
    desk: Desk,
    ports: Ports,
    clock: Arc<ManualClock>,
    webhook: WebhookId,
    stop: CancellationToken,
    _folder: TempDir,
}

impl Site {
    /// A webhook that leads to `url`, where `reachable` may be posted to.
    async fn open(reachable: SocketAddr, url: String, fetch_seconds: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str| folder.path().join(name).display().to_string();
        let variable = |name: &str| match name {
            "RETOUCH_STORE_URL" => Some(format!("sqlite:{}", place("jobs.db"))),
            "RETOUCH_BLOBS_URL" => Some(format!("file:{}", place("blobs"))),
            "RETOUCH_FETCH_ALLOW" => Some(format!("[\"{reachable}\"]")),
            "RETOUCH_FETCH_PORTS" => Some(format!("[80, 443, {}]", reachable.port())),
            "RETOUCH_FETCH_TOTAL_SECONDS" => Some(fetch_seconds.to_string()),
            _ => None,
        };
        let settings = Settings::load(None, &variable).unwrap();
        let clock = Arc::new(ManualClock::default());
        let ids = Arc::new(SeededIds::new(u64::MAX));
        stores::migrate(&settings.store).await.unwrap();
        let process = Process { clock: clock.clone(), ids, variable: &variable };
        let ports = backends::connect(&settings, &process).await.unwrap();
        let desk = Desk::new(ports.store.clone());
        let webhook = WebhookId::new(desk.ids.uuid());
        let kinds = WebhookKind::CHOICE.to_vec();
        let record = NewWebhook { id: webhook, tenant: desk.tenant, url, kinds, secret: secret(1) };
        ports.store.add_webhook(&record).await.unwrap();
        Self { desk, ports, clock, webhook, stop: CancellationToken::new(), _folder: folder }
    }

    async fn reaching(endpoint: &Endpoint) -> Self {
        Self::open(endpoint.address, endpoint.url(), 30).await
    }

    /// One scheduler works off what is due.
    async fn work(&self) {
        let Ports { store, post, clock, ids, .. } = self.ports.clone();
        let mut reconciler = Webhooks::new(store, post, clock, ids, self.stop.clone());
        while soon(reconciler.round()).await.unwrap() {}
    }

    async fn test(&self) -> EventId {
        let event = EventId::of_test(self.desk.ids.uuid());
        self.ports.store.add_test(self.desk.tenant, self.webhook, &event).await.unwrap();
        event
    }

    async fn delivery(&self, event: &EventId) -> DeliveryRecord {
        self.ports.store.delivery(self.desk.tenant, self.webhook, event).await.unwrap().unwrap()
    }

    async fn record(&self) -> WebhookRecord {
        self.ports.store.webhook(self.desk.tenant, self.webhook).await.unwrap().unwrap()
    }

    /// The code of the last error.
    async fn error(&self, event: &EventId) -> String {
        self.delivery(event).await.error.unwrap().code.to_string()
    }
}

fn secret(byte: u8) -> WebhookSecret {
    WebhookSecret([byte; 32])
}

/// HMAC-SHA256 as RFC 2104 defines it, from the hash alone.
fn hmac(key: &[u8; 32], message: &[u8]) -> String {
    let mut block = [0; 64];
    block[..32].copy_from_slice(key);
    let inner = Sha256::new().chain_update(block.map(|byte| byte ^ 0x36)).chain_update(message).finalize();
    let outer = Sha256::new().chain_update(block.map(|byte| byte ^ 0x5c)).chain_update(inner).finalize();
    STANDARD.encode(outer)
}

/// The signatures that a receiver with these secrets expects.
fn expected(message: &Message, secrets: &[WebhookSecret]) -> String {
    let mut signed =
        format!("{}.{}.", message.header("webhook-id"), message.header("webhook-timestamp")).into_bytes();
    signed.extend_from_slice(&message.body);
    let each: Vec<String> = secrets.iter().map(|secret| format!("v1,{}", hmac(&secret.0, &signed))).collect();
    each.join(" ")
}

#[tokio::test]
async fn the_end_of_a_batch_arrives_signed() {
    let endpoint = Endpoint::start([]).await;
    let site = Site::reaching(&endpoint).await;
    let (batch, _) = site.desk.submit(1).await;
    let run = site.desk.start().await.remove(0);
    site.desk.commit(&[run.fence]).await;
    site.work().await;
    assert_eq!(endpoint.messages().len(), 0, "nothing is over yet");
    site.ports.store.fold(10).await.unwrap();
    site.clock.advance(Duration::from_secs(2));
    site.work().await;
    site.work().await;

    let messages = endpoint.messages();
    assert_eq!(messages.len(), 1);
    let message = &messages[0];
    assert_eq!(message.request(), "POST /hook?a=b HTTP/1.1");
    assert_eq!(message.header("content-type"), "application/json");
    assert_eq!(message.header("host"), endpoint.address.to_string());
    let event = EventId::of_batch(batch, 1);
    assert_eq!(message.header("webhook-id"), event.as_str());
    assert_eq!(message.header("webhook-timestamp"), "1767225602");
    assert_eq!(message.header("webhook-signature"), expected(message, &[secret(1)]));
    let body: Value = serde_json::from_slice(&message.body).unwrap();
    let counts = json!({"total": 1, "succeeded": 1, "failed": 0, "canceled": 0, "expired": 0});
    let data = json!({"batch": batch.to_string(), "state": "completed", "generation": 1, "counts": counts});
    let whole = json!({"type": "batch.completed", "timestamp": "2026-01-01T00:00:00Z", "data": data});
    assert_eq!(body, whole);
    let delivery = site.delivery(&event).await;
    assert_eq!((delivery.state, delivery.status), (DeliveryState::Delivered, Some(204)));
}

#[tokio::test]
async fn both_secrets_sign_while_one_replaces_the_other() {
    let endpoint = Endpoint::start([]).await;
    let site = Site::reaching(&endpoint).await;
    let store = &site.ports.store;
    store.rotate_secret(site.desk.tenant, site.webhook, &secret(2), SECRET_OVERLAP).await.unwrap();
    site.test().await;
    site.work().await;
    site.clock.advance(SECRET_OVERLAP);
    site.test().await;
    site.work().await;
    let messages = endpoint.messages();
    assert_eq!(messages[0].header("webhook-signature"), expected(&messages[0], &[secret(2), secret(1)]));
    assert_eq!(messages[1].header("webhook-signature"), expected(&messages[1], &[secret(2)]));
}

#[tokio::test]
async fn what_fails_is_tried_again_as_the_same_message() {
    let endpoint = Endpoint::start(["500 Broken\r\n", "429 Later\r\n"]).await;
    let site = Site::reaching(&endpoint).await;
    let event = site.test().await;
    site.work().await;
    let delivery = site.delivery(&event).await;
    assert_eq!((delivery.state, delivery.attempts, delivery.status), (DeliveryState::Pending, 1, Some(500)));
    assert_eq!(site.error(&event).await, "webhook_status");
    site.clock.advance(Duration::from_millis(4900));
    site.work().await;
    assert_eq!(endpoint.messages().len(), 1, "the second attempt is not due before 5 s");
    site.clock.advance(Duration::from_millis(1200));
    site.work().await;
    site.clock.advance(Duration::from_secs(361));
    site.work().await;
    let messages = endpoint.messages();
    assert_eq!(messages.len(), 3);
    for message in &messages {
        assert_eq!(message.body, messages[0].body);
        assert_eq!(message.header("webhook-id"), event.as_str());
        assert_eq!(message.header("webhook-signature"), expected(message, &[secret(1)]));
    }
    assert_ne!(messages[0].header("webhook-timestamp"), messages[1].header("webhook-timestamp"));
    let delivery = site.delivery(&event).await;
    assert_eq!((delivery.state, delivery.attempts, delivery.error), (DeliveryState::Delivered, 3, None));
}

#[tokio::test]
async fn a_message_is_given_up_after_the_schedule_and_its_webhook_disabled() {
    let endpoint = Endpoint::start(["500 Broken\r\n"; 20]).await;
    let site = Site::reaching(&endpoint).await;
    let event = site.test().await;
    for attempt in 1..=10 {
        site.work().await;
        assert_eq!(endpoint.messages().len(), attempt);
        let delivery = site.delivery(&event).await;
        let over = delivery.state == DeliveryState::Failed;
        assert_eq!(over, attempt == 10, "{delivery:?}");
        if let Some(due) = delivery.due_at {
            site.clock.advance(due.since(site.clock.now()));
        }
    }
    assert_eq!(site.record().await.disabled.unwrap().0, Disabled::Failing);
    let (tenant, webhook) = (site.desk.tenant, site.webhook);
    site.ports.store.enable_webhook(tenant, webhook).await.unwrap();
    site.ports.store.redeliver(tenant, webhook, &event).await.unwrap();
    site.work().await;
    assert_eq!(endpoint.messages().len(), 11);
    assert_eq!(site.delivery(&event).await.attempts, 1);
    assert!(schedule_length() > Duration::from_secs(3 * 24 * 60 * 60));
}

#[tokio::test]
async fn an_endpoint_that_is_gone_is_sent_nothing_more() {
    let endpoint = Endpoint::start(["410 Gone\r\n"]).await;
    let site = Site::reaching(&endpoint).await;
    let event = site.test().await;
    site.work().await;
    assert_eq!(site.record().await.disabled.unwrap().0, Disabled::Gone);
    assert_eq!(site.delivery(&event).await.state, DeliveryState::Failed);
    assert_eq!(site.error(&event).await, "webhook_gone");
    let later = site.test().await;
    site.work().await;
    assert_eq!(endpoint.messages().len(), 1);
    assert_eq!(site.delivery(&later).await.attempts, 0);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let endpoint = Endpoint::start([]).await;
    let site = Site::reaching(&endpoint).await;
    endpoint.will_answer("307 Elsewhere\r\nlocation: /elsewhere\r\n");
    let event = site.test().await;
    site.work().await;
    assert_eq!(endpoint.messages().len(), 1);
    assert_eq!(site.delivery(&event).await.status, Some(307));
    assert_eq!(site.error(&event).await, "webhook_redirects");
}

#[tokio::test]
async fn who_says_nothing_is_given_up_in_time_and_holds_up_nobody() {
    let endpoint = Endpoint::start([SILENCE]).await;
    let site = Site::open(endpoint.address, endpoint.url(), 1).await;
    let (first, second) = (site.test().await, site.test().await);
    site.work().await;
    let states = [site.delivery(&first).await, site.delivery(&second).await];
    let delivered = states.iter().filter(|delivery| delivery.state == DeliveryState::Delivered).count();
    assert_eq!(delivered, 1);
    let silent = states.iter().find(|delivery| delivery.state == DeliveryState::Pending).unwrap();
    assert_eq!(silent.error.as_ref().unwrap().code.as_str(), "url_slow");
    assert_eq!((silent.status, silent.attempts), (None, 1));
}

#[tokio::test]
async fn a_stop_waits_for_no_endpoint_and_loses_no_message() {
    let endpoint = Endpoint::start([SILENCE]).await;
    let site = Site::reaching(&endpoint).await;
    let event = site.test().await;
    let arrived = async {
        eventually(async || !endpoint.messages().is_empty()).await;
        site.stop.cancel();
    };
    tokio::join!(site.work(), arrived);
    assert_eq!(site.delivery(&event).await.state, DeliveryState::Pending);
    site.clock.advance(Duration::from_secs(60));
    let next = Site { stop: CancellationToken::new(), ..site };
    next.work().await;
    assert_eq!(next.delivery(&event).await.state, DeliveryState::Delivered);
    assert_eq!(endpoint.messages().len(), 2);
}

#[tokio::test]
async fn a_private_address_is_not_posted_to() {
    let endpoint = Endpoint::start([]).await;
    // Another port of the same machine is not what was allowed.
    let other = Endpoint::start([]).await;
    for url in
        [other.url(), format!("http://127.0.0.2:{}/", endpoint.address.port()), "http://10.0.0.1/".to_owned()]
    {
        let site = Site::open(endpoint.address, url.clone(), 5).await;
        let event = site.test().await;
        site.work().await;
        let code = site.error(&event).await;
        assert!(["url_address", "url_port"].contains(&code.as_str()), "{url}: {code}");
        assert_eq!(site.delivery(&event).await.status, None);
    }
    assert_eq!(endpoint.messages().len() + other.messages().len(), 0);
}

#[tokio::test]
async fn several_schedulers_at_once_send_each_message_once() {
    let endpoint = Endpoint::start([]).await;
    let site = Site::reaching(&endpoint).await;
    let mut events = Vec::new();
    for _ in 0..10 {
        events.push(site.test().await.to_string());
    }
    tokio::join!(site.work(), site.work(), site.work());
    let mut sent: Vec<String> =
        endpoint.messages().iter().map(|message| message.header("webhook-id").to_owned()).collect();
    sent.sort();
    events.sort();
    assert_eq!(sent, events);
}
