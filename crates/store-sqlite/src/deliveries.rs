//! Deliveries to webhooks.

use std::time::Duration;

use async_trait::async_trait;
use retouch_domain::Disabled;
use retouch_ports::store::adapter::secret_of;
use retouch_ports::store::{AttemptEnded, Deliveries, DeliveryFence, DueDelivery, WebhookSecret};
use serde_json::Value;

use crate::change::{Changes, run};
use crate::error::failed;
use crate::fields::{Fields, unreadable};
use crate::webhooks::kind;
use crate::{Result, SqliteStore, Tx, commit, sql};

type Read<T> = std::result::Result<T, sqlx::Error>;

#[async_trait]
impl Deliveries for SqliteStore {
    async fn claim_deliveries(&self, lease: Duration, limit: u32, each: u32) -> Result<Vec<DueDelivery>> {
        let what = "claiming deliveries";
        let mut tx = self.write(what).await?;
        let rows = sql!("deliveries/due")
            .bind(self.micros())
            .bind(limit)
            .bind(each)
            .fetch_all(&mut *tx)
            .await
            .map_err(failed(what))?;
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let claimed = |row| Ok((Fields(row).int("number")?, due(&Fields(row))?));
        let claimed: Vec<(i64, DueDelivery)> =
            rows.iter().map(claimed).collect::<Read<_>>().map_err(failed(what))?;
        let numbers: Value = claimed.iter().map(|(number, _)| *number).collect();
        let until = self.micros_ahead(lease);
        run(sql!("deliveries/claim").bind(numbers.to_string()).bind(until), &mut tx, what).await?;
        commit(tx, what).await?;
        Ok(claimed.into_iter().map(|(_, due)| due).collect())
    }

    async fn end_attempt(&self, ended: &AttemptEnded) -> Result<Option<Disabled>> {
        self.end_one(ended).await
    }

    async fn forget_deliveries(&self, age: Duration, limit: u32) -> Result<u64> {
        let what = "forgetting deliveries";
        let mut tx = self.write(what).await?;
        let statement = sql!("deliveries/forget").bind(self.micros_ago(age)).bind(limit);
        let forgotten = run(statement, &mut tx, what).await?;
        commit(tx, what).await?;
        Ok(forgotten)
    }
}

impl SqliteStore {
    async fn end_one(&self, ended: &AttemptEnded) -> Result<Option<Disabled>> {
        let what = "recording an attempt of a delivery";
        let mut tx = self.write(what).await?;
        let fence = &ended.fence;
        let statement = sql!("deliveries/end")
            .bind(fence.webhook.to_string())
            .bind(fence.event.as_str())
            .bind(fence.epoch)
            .bind(ended.ruling.state().code())
            .bind(ended.ruling.wait().map(|wait| self.micros_ahead(wait)))
            .bind(ended.status)
            .bind(ended.error.as_ref().map(|error| error.code.as_str()))
            .bind(ended.error.as_ref().map(|error| &error.message))
            .bind(self.micros());
        let recorded = run(statement, &mut tx, what).await? > 0;
        let disabled = match ended.ruling.disables().filter(|_| recorded) {
            Some((reason, quiet)) => {
                let since = quiet.map(|quiet| self.micros_ago(quiet));
                self.disable(&mut tx, fence, reason, since).await?
            }
            None => None,
        };
        commit(tx, what).await?;
        Ok(disabled)
    }

    /// Disables a webhook and holds what waits for it; not if it took something since `unless_since`.
    async fn disable(
        &self,
        tx: &mut Tx,
        fence: &DeliveryFence,
        reason: Disabled,
        unless_since: Option<i64>,
    ) -> Result<Option<Disabled>> {
        let what = "disabling a webhook";
        let webhook = fence.webhook.to_string();
        let statement = sql!("deliveries/disable")
            .bind(webhook.clone())
            .bind(reason.code())
            .bind(self.micros())
            .bind(unless_since);
        if run(statement, tx, what).await? == 0 {
            return Ok(None);
        }
        run(sql!("webhooks/hold").bind(webhook), tx, what).await?;
        Ok(Some(reason))
    }
}

impl Changes<'_> {
    /// Tells webhooks of events, within the transaction in which they happen.
    pub(crate) async fn tell(&mut self, events: Vec<Value>) -> Result<()> {
        if events.is_empty() {
            return Ok(());
        }
        let statement = sql!("deliveries/tell").bind(Value::Array(events).to_string()).bind(self.now);
        run(statement, self.tx, "telling webhooks").await?;
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
