//! The facts that an audit judges.

use async_trait::async_trait;
use retouch_domain::audit::{BatchFacts, JobFacts, LoggedEvent};
use retouch_domain::{BatchId, Event, JobId, JobState};
use retouch_ports::store::{Audit, Page};

use crate::fields::{Fields, unreadable};
use crate::reading::after;
use crate::{PostgresStore, Result, sql};

type Read<T> = std::result::Result<T, sqlx::Error>;

#[async_trait]
impl Audit for PostgresStore {
    async fn batch_facts(&self, page: Page<BatchId>) -> Result<Vec<BatchFacts>> {
        let statement = sql!("audit/batches").bind(after(page, BatchId::uuid)).bind(i64::from(page.limit));
        self.read("auditing batches", statement, batch_facts).await
    }

    async fn job_facts(&self, batch: BatchId, page: Page<JobId>) -> Result<Vec<JobFacts>> {
        let statement =
            sql!("audit/jobs").bind(batch.uuid()).bind(after(page, JobId::uuid)).bind(i64::from(page.limit));
        self.read("auditing jobs", statement, job_facts).await
    }

    async fn strays(&self, limit: u32) -> Result<Vec<String>> {
        self.read("looking for stray rows", sql!("audit/strays").bind(i64::from(limit)), |row| {
            row.get("stray")
        })
        .await
    }
}

fn batch_facts(row: &Fields<'_>) -> Read<BatchFacts> {
    Ok(BatchFacts {
        batch: row.id("id")?,
        tenant: row.id("tenant")?,
        state: row.batch_state("state")?,
        counted: row.counts("")? + row.counts("d_")?,
        unfolded: row.int("deltas")? > 0,
        actual: row.counts("a_")?,
    })
}

fn job_facts(row: &Fields<'_>) -> Read<JobFacts> {
    let lease: Option<i32> = row.get("lease_epoch")?;
    let attempts = serde_json::from_value(row.json("attempts")?)
        .map_err(|_| unreadable("attempts", "is no list of epochs"))?;
    let events: Vec<(String, u32, String)> = serde_json::from_value(row.json("events")?)
        .map_err(|_| unreadable("events", "is no list of events"))?;
    let logged = |(event, epoch, state): (String, u32, String)| {
        let event = Event::from_code(&event).ok_or_else(|| unreadable("event", "is no event of a job"))?;
        let state = JobState::from_code(&state).ok_or_else(|| unreadable("state", "is no state of a job"))?;
        Ok(LoggedEvent { event, epoch, state })
    };
    Ok(JobFacts {
        job: row.id("id")?,
        born: row.state("born")?,
        state: row.state("state")?,
        epoch: row.count("epoch")?,
        dispatched: row.flag("dispatched")?,
        has_output: row.flag("has_output")?,
        has_error: row.flag("has_error")?,
        unmet: row.count("unmet")?,
        doomed: row.count("doomed")?,
        lease: lease.map(|epoch| u32::try_from(epoch).unwrap_or(u32::MAX)),
        attempts,
        events: events.into_iter().map(logged).collect::<Read<_>>()?,
    })
}
