//! The webhooks of tenants.

use std::time::Duration;

use async_trait::async_trait;
use retouch_domain::webhook::{MAX_WAITING_TESTS, MAX_WEBHOOKS};
use retouch_domain::{DeliveryState, Disabled, EventId, TenantId, WebhookId, WebhookKind};
use retouch_ports::store::adapter::{
    check_webhook_url, kinds, kinds_of, must_be_found, not_found, test_data, too_many_tests,
    too_many_webhooks,
};
use retouch_ports::store::{DeliveryRecord, NewWebhook, Page, WebhookRecord, WebhookSecret, Webhooks};

use crate::change::run;
use crate::error::failed;
use crate::fields::{Fields, unreadable};
use crate::reading::after;
use crate::{Result, SqliteStore, commit, sql};

type Read<T> = std::result::Result<T, sqlx::Error>;

#[async_trait]
impl Webhooks for SqliteStore {
    async fn add_webhook(&self, webhook: &NewWebhook) -> Result<()> {
        let what = "storing a webhook";
        check_webhook_url(&webhook.url)?;
        let mut tx = self.write(what).await?;
        let statement = sql!("webhooks/insert")
            .bind(webhook.id.to_string())
            .bind(webhook.tenant.to_string())
            .bind(&webhook.url)
            .bind(kinds(&webhook.kinds).to_string())
            .bind(webhook.secret.0.to_vec())
            .bind(self.micros())
            .bind(MAX_WEBHOOKS);
        let stored = run(statement, &mut tx, what).await?;
        commit(tx, what).await?;
        if stored == 0 { Err(too_many_webhooks()) } else { Ok(()) }
    }

    async fn webhook(&self, tenant: TenantId, webhook: WebhookId) -> Result<Option<WebhookRecord>> {
        let statement = sql!("webhooks/one").bind(tenant.to_string()).bind(webhook.to_string());
        Ok(self.read("reading a webhook", statement, webhook_record).await?.pop())
    }

    async fn webhooks(&self, tenant: TenantId, page: Page<WebhookId>) -> Result<Vec<WebhookRecord>> {
        let statement =
            sql!("webhooks/of_tenant").bind(tenant.to_string()).bind(after(page)).bind(page.limit);
        self.read("reading webhooks", statement, webhook_record).await
    }

    async fn rotate_secret(
        &self,
        tenant: TenantId,
        webhook: WebhookId,
        secret: &WebhookSecret,
        overlap: Duration,
    ) -> Result<()> {
        let done = sql!("webhooks/rotate")
            .bind(tenant.to_string())
            .bind(webhook.to_string())
            .bind(secret.0.to_vec())
            .bind(self.micros_ahead(overlap))
            .execute(&self.writer)
            .await
            .map_err(failed("rotating a webhook's secret"))?;
        must_be_found(done.rows_affected(), "webhook", webhook)
    }

    async fn disable_webhook(&self, tenant: TenantId, webhook: WebhookId) -> Result<()> {
        let what = "disabling a webhook";
        let mut tx = self.write(what).await?;
        let statement = sql!("webhooks/disable_by_owner")
            .bind(tenant.to_string())
            .bind(webhook.to_string())
            .bind(self.micros());
        must_be_found(run(statement, &mut tx, what).await?, "webhook", webhook)?;
        run(sql!("webhooks/hold").bind(webhook.to_string()), &mut tx, what).await?;
        commit(tx, what).await
    }

    async fn enable_webhook(&self, tenant: TenantId, webhook: WebhookId) -> Result<()> {
        let what = "enabling a webhook";
        let mut tx = self.write(what).await?;
        let statement = sql!("webhooks/enable").bind(tenant.to_string()).bind(webhook.to_string());
        must_be_found(run(statement, &mut tx, what).await?, "webhook", webhook)?;
        let statement = sql!("webhooks/release").bind(webhook.to_string()).bind(self.micros());
        run(statement, &mut tx, what).await?;
        commit(tx, what).await
    }

    async fn delete_webhook(&self, tenant: TenantId, webhook: WebhookId) -> Result<()> {
        let what = "deleting a webhook";
        let mut tx = self.write(what).await?;
        let statement = sql!("webhooks/delete").bind(tenant.to_string()).bind(webhook.to_string());
        must_be_found(run(statement, &mut tx, what).await?, "webhook", webhook)?;
        run(sql!("webhooks/delete_deliveries").bind(webhook.to_string()), &mut tx, what).await?;
        commit(tx, what).await
    }

    async fn add_test(&self, tenant: TenantId, webhook: WebhookId, event: &EventId) -> Result<()> {
        let done = sql!("webhooks/insert_test")
            .bind(tenant.to_string())
            .bind(webhook.to_string())
            .bind(event.as_str())
            .bind(test_data(webhook).to_string())
            .bind(MAX_WAITING_TESTS)
            .bind(self.micros())
            .execute(&self.writer)
            .await
            .map_err(failed("storing a test of a webhook"))?;
        if done.rows_affected() > 0 {
            return Ok(());
        }
        self.webhook(tenant, webhook).await?.ok_or_else(|| not_found("webhook", webhook))?;
        Err(too_many_tests())
    }

    async fn deliveries(
        &self,
        tenant: TenantId,
        webhook: WebhookId,
        page: Page<EventId>,
    ) -> Result<Vec<DeliveryRecord>> {
        let statement = sql!("webhooks/deliveries")
            .bind(tenant.to_string())
            .bind(webhook.to_string())
            .bind(page.after.map(|event| event.to_string()))
            .bind(page.limit);
        self.read("reading deliveries", statement, delivery_record).await
    }

    async fn delivery(
        &self,
        tenant: TenantId,
        webhook: WebhookId,
        event: &EventId,
    ) -> Result<Option<DeliveryRecord>> {
        let statement =
            sql!("webhooks/delivery").bind(tenant.to_string()).bind(webhook.to_string()).bind(event.as_str());
        Ok(self.read("reading a delivery", statement, delivery_record).await?.pop())
    }

    async fn redeliver(&self, tenant: TenantId, webhook: WebhookId, event: &EventId) -> Result<()> {
        let done = sql!("webhooks/redeliver")
            .bind(tenant.to_string())
            .bind(webhook.to_string())
            .bind(event.as_str())
            .bind(self.micros())
            .execute(&self.writer)
            .await
            .map_err(failed("delivering once more"))?;
        must_be_found(done.rows_affected(), "delivery", event)
    }
}

fn webhook_record(row: &Fields<'_>) -> Read<WebhookRecord> {
    let reason: Option<&str> = row.get("disabled_reason")?;
    let reason = reason
        .map(|code| Disabled::from_code(code).ok_or_else(|| unreadable("disabled_reason", "is no reason")));
    Ok(WebhookRecord {
        id: row.id("id")?,
        tenant: row.id("tenant")?,
        url: row.get("url")?,
        kinds: kinds_of(&row.json("kinds")?),
        disabled: reason.transpose()?.zip(row.time_or_none("disabled_at")?),
        previous_until: row.time_or_none("previous_until")?,
        created_at: row.time("created_at")?,
    })
}

fn delivery_record(row: &Fields<'_>) -> Read<DeliveryRecord> {
    let state = DeliveryState::from_code(row.text("state")?);
    let status: Option<i64> = row.get("status")?;
    Ok(DeliveryRecord {
        event: row.parsed("event")?,
        webhook: row.id("webhook")?,
        kind: kind(row)?,
        data: row.json("data")?,
        state: state.ok_or_else(|| unreadable("state", "is no state of a delivery"))?,
        attempts: row.count("attempts")?,
        due_at: row.time_or_none("due_at")?,
        status: status.and_then(|status| u16::try_from(status).ok()),
        error: row.error()?,
        created_at: row.time("created_at")?,
        ended_at: row.time_or_none("ended_at")?,
    })
}

/// What a delivery tells of.
pub(crate) fn kind(row: &Fields<'_>) -> Read<WebhookKind> {
    WebhookKind::from_code(row.text("kind")?).ok_or_else(|| unreadable("kind", "is no kind of event"))
}
