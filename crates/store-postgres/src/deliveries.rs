//! Deliveries to webhooks.

use std::time::Duration;

use async_trait::async_trait;
use retouch_domain::Disabled;
use retouch_ports::store::adapter::secret_of;
use retouch_ports::store::{AttemptEnded, Deliveries, DeliveryFence, DueDelivery, WebhookSecret};
use serde_json::Value;

use crate::change::{Changes, micros, run};
use crate::fields::{Fields, unreadable};
use crate::webhooks::kind;
use crate::{PostgresStore, Result, Tx, again, commit, sql};

type Read<T> = std::result::Result<T, sqlx::Error>;

#[async_trait]
impl Deliveries for PostgresStore {
    async fn claim_deliveries(&self, lease: Duration, limit: u32, each: u32) -> Result<Vec<DueDelivery>> {
        let statement =
            sql!("deliveries/claim").bind(micros(lease)).bind(i64::from(limit)).bind(i64::from(each));
        self.read("claiming deliveries", statement, due).await
    }

    async fn end_attempt(&self, ended: &AttemptEnded) -> Result<Option<Disabled>> {
        again(|| self.end_one(ended)).await
    }

    async fn forget_deliveries(&self, age: Duration, limit: u32) -> Result<u64> {
        let what = "forgetting deliveries";
        let mut tx = self.write(what).await?;
        let statement = sql!("deliveries/forget").bind(micros(age)).bind(i64::from(limit));
        let forgotten = run(statement, &mut tx, what).await?;
        commit(tx, what).await?;
        Ok(forgotten)
    }
}

impl PostgresStore {
    async fn end_one(&self, ended: &AttemptEnded) -> Result<Option<Disabled>> {
        let what = "recording an attempt of a delivery";
        let mut tx = self.write(what).await?;
        let fence = &ended.fence;
        let statement = sql!("deliveries/end")
            .bind(fence.webhook.uuid())
            .bind(fence.event.as_str())
            .bind(i32::try_from(fence.epoch).unwrap_or(i32::MAX))
            .bind(ended.ruling.state().code())
            .bind(ended.ruling.wait().map(micros))
            .bind(ended.status.map(i32::from))
            .bind(ended.error.as_ref().map(|error| error.code.as_str()))
            .bind(ended.error.as_ref().map(|error| &error.message));
        let recorded = run(statement, &mut tx, what).await? > 0;
        let disabled = match ended.ruling.disables().filter(|_| recorded) {
            Some((reason, quiet)) => disable(&mut tx, fence, reason, quiet.map(micros)).await?,
            None => None,
        };
        commit(tx, what).await?;
        Ok(disabled)
    }
}

/// Disables a webhook and holds what waits for it; not if it took something in the time `unless_for`.
async fn disable(
    tx: &mut Tx,
    fence: &DeliveryFence,
    reason: Disabled,
    unless_for: Option<i64>,
) -> Result<Option<Disabled>> {
    let what = "disabling a webhook";
    let webhook = fence.webhook.uuid();
    let statement = sql!("deliveries/disable").bind(webhook).bind(reason.code()).bind(unless_for);
    if run(statement, tx, what).await? == 0 {
        return Ok(None);
    }
    run(sql!("webhooks/hold").bind(webhook), tx, what).await?;
    Ok(Some(reason))
}

impl Changes<'_> {
    /// Tells webhooks of events, within the transaction in which they happen.
    pub(crate) async fn tell(&mut self, events: Vec<Value>) -> Result<()> {
        if events.is_empty() {
            return Ok(());
        }
        run(sql!("deliveries/tell").bind(Value::Array(events)), self.tx, "telling webhooks").await?;
        Ok(())
    }
}

fn due(row: &Fields<'_>) -> Read<DueDelivery> {
    let secret = |column: &str, stored: Vec<u8>| -> Read<WebhookSecret> {
        secret_of(stored).ok_or_else(|| unreadable(column, "is no secret of a webhook"))
    };
    let mut secrets = vec![secret("secret", row.get("secret")?)?];
    if let Some(stored) = row.get::<Option<Vec<u8>>>("previous_secret")? {
        secrets.push(secret("previous_secret", stored)?);
    }
    Ok(DueDelivery {
        fence: DeliveryFence {
            webhook: row.id("webhook")?,
            event: row.parsed("event")?,
            epoch: row.count("epoch")?,
        },
        tenant: row.id("tenant")?,
        url: row.get("url")?,
        secrets,
        kind: kind(row)?,
        data: row.json("data")?,
        attempt: row.count("attempts")?,
        created_at: row.time("created_at")?,
    })
}
