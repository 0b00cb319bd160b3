//! Webhooks: endpoints of users, and the deliveries of events to them.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use retouch_domain::{
    DeliveryRuling, DeliveryState, Disabled, EventId, JobError, TenantId, Timestamp, WebhookId, WebhookKind,
};
use serde_json::Value;

use super::{Page, Result};

/// What messages to a webhook are signed with. Stored as it is, for every message needs it; never shown by this type.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookSecret(pub [u8; 32]);

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret of a webhook)")
    }
}

/// A webhook to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewWebhook {
    /// Made by the caller.
    pub id: WebhookId,
    /// Whose it is.
    pub tenant: TenantId,
    /// The endpoint; at most [`MAX_URL_BYTES`](retouch_domain::webhook::MAX_URL_BYTES).
    pub url: String,
    /// What it is told of.
    pub kinds: Vec<WebhookKind>,
    /// Signs what it is sent.
    pub secret: WebhookSecret,
}

/// A webhook as it stands, without its secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookRecord {
    /// The webhook.
    pub id: WebhookId,
    /// Whose it is.
    pub tenant: TenantId,
    /// The endpoint.
    pub url: String,
    /// What it is told of.
    pub kinds: Vec<WebhookKind>,
    /// Why and since when nothing is sent to it.
    pub disabled: Option<(Disabled, Timestamp)>,
    /// Until when the secret before the present one signs too.
    pub previous_until: Option<Timestamp>,
    /// When it was stored.
    pub created_at: Timestamp,
}

/// A delivery as it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct DeliveryRecord {
    /// What happened.
    pub event: EventId,
    /// Who is told.
    pub webhook: WebhookId,
    /// What kind of thing happened.
    pub kind: WebhookKind,
    /// What is told.
    pub data: Value,
    /// How far it is.
    pub state: DeliveryState,
    /// Attempts since it was stored, or was last asked for by its owner.
    pub attempts: u32,
    /// Of a pending one: when it is tried next; none while its webhook is disabled.
    pub due_at: Option<Timestamp>,
    /// What the last attempt was answered with.
    pub status: Option<u16>,
    /// Why the last attempt failed.
    pub error: Option<JobError>,
    /// When it happened.
    pub created_at: Timestamp,
    /// When it was delivered or given up.
    pub ended_at: Option<Timestamp>,
}

/// For the API. `NotFound` if the tenant has no such webhook or delivery.
#[async_trait]
pub trait Webhooks: Send + Sync {
    /// Stores a webhook.
    ///
    /// # Errors
    /// `Conflict` if the id is in use, or the tenant has [`MAX_WEBHOOKS`](retouch_domain::webhook::MAX_WEBHOOKS); `Invalid`: the URL.
    async fn add_webhook(&self, webhook: &NewWebhook) -> Result<()>;

    /// A webhook.
    async fn webhook(&self, tenant: TenantId, webhook: WebhookId) -> Result<Option<WebhookRecord>>;

    /// A tenant's webhooks in order of their ids.
    async fn webhooks(&self, tenant: TenantId, page: Page<WebhookId>) -> Result<Vec<WebhookRecord>>;

    /// Signs with another secret from now on, and for `overlap` with the one until now too. One before that no longer signs.
    async fn rotate_secret(
        &self,
        tenant: TenantId,
        webhook: WebhookId,
        secret: &WebhookSecret,
        overlap: Duration,
    ) -> Result<()>;

    /// Sends nothing to a webhook from now on, what waits included; one that is disabled already keeps its reason.
    async fn disable_webhook(&self, tenant: TenantId, webhook: WebhookId) -> Result<()>;

    /// Sends to a webhook again, and what waits at once.
    async fn enable_webhook(&self, tenant: TenantId, webhook: WebhookId) -> Result<()>;

    /// Deletes a webhook with its deliveries.
    async fn delete_webhook(&self, tenant: TenantId, webhook: WebhookId) -> Result<()>;

    /// Stores a test, due at once.
    ///
    /// # Errors
    /// `Conflict` if [`MAX_WAITING_TESTS`](retouch_domain::webhook::MAX_WAITING_TESTS) wait already.
    async fn add_test(&self, tenant: TenantId, webhook: WebhookId, event: &EventId) -> Result<()>;

    /// A webhook's deliveries, the newest first; none if the tenant has no such webhook.
    async fn deliveries(
        &self,
        tenant: TenantId,
        webhook: WebhookId,
        page: Page<EventId>,
    ) -> Result<Vec<DeliveryRecord>>;

    /// A delivery.
    async fn delivery(
        &self,
        tenant: TenantId,
        webhook: WebhookId,
        event: &EventId,
    ) -> Result<Option<DeliveryRecord>>;

    /// Delivers once more, whatever became of it, from the start of the schedule.
    async fn redeliver(&self, tenant: TenantId, webhook: WebhookId, event: &EventId) -> Result<()>;
}

/// A delivery that is to be tried now.
#[derive(Debug, Clone, PartialEq)]
pub struct DueDelivery {
    /// What it is named by in [`Deliveries::end_attempt`].
    pub fence: DeliveryFence,
    /// Whose it is.
    pub tenant: TenantId,
    /// The endpoint.
    pub url: String,
    /// All secrets in force, the present one first.
    pub secrets: Vec<WebhookSecret>,
    /// What kind of thing happened.
    pub kind: WebhookKind,
    /// What is told.
    pub data: Value,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// When it happened.
    pub created_at: Timestamp,
}

/// One attempt of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryFence {
    /// Who is told.
    pub webhook: WebhookId,
    /// Of what.
    pub event: EventId,
    /// The attempt's fencing number.
    pub epoch: u32,
}

/// What became of an attempt.
#[derive(Debug, Clone, PartialEq)]
pub struct AttemptEnded {
    /// The attempt.
    pub fence: DeliveryFence,
    /// What follows.
    pub ruling: DeliveryRuling,
    /// What it was answered with.
    pub status: Option<u16>,
    /// Why it failed.
    pub error: Option<JobError>,
}

/// For the scheduler: deliveries that are due.
#[async_trait]
pub trait Deliveries: Send + Sync {
    /// Takes at most `limit` due deliveries, and at most `each` of one webhook. Nobody else gets them for `lease`, after which
    /// they are due again.
    async fn claim_deliveries(&self, lease: Duration, limit: u32, each: u32) -> Result<Vec<DueDelivery>>;

    /// Puts an attempt on record. One that gives up disables its webhook if that took nothing for as long as a message is
    /// tried; one that finds the endpoint gone does at once. Answers the reason if it did.
    async fn end_attempt(&self, ended: &AttemptEnded) -> Result<Option<Disabled>>;

    /// Forgets deliveries that were stored so long ago, and are over or whose webhook is disabled or deleted. Answers how
    /// many.
    async fn forget_deliveries(&self, age: Duration, limit: u32) -> Result<u64>;
}
