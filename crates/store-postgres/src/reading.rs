//! Looking.

use async_trait::async_trait;
use retouch_domain::{BatchId, BatchState, Cost, Dependency, JobId, JobState, NewJob, TenantId, Timestamp};
use retouch_ports::store::{
    AttemptRecord, BatchFilter, BatchRecord, Cursor, EventRecord, EventScope, JobRecord, Page, Reading,
    RunRecord, UsageDay, VerdictTotals, adapter,
};
use serde_json::Value;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use crate::error::failed;
use crate::fields::{Fields, unreadable, uuid};
use crate::{PostgresStore, Result, sql};

type Read<T> = std::result::Result<T, sqlx::Error>;

#[async_trait]
impl Reading for PostgresStore {
    async fn now(&self) -> Result<Timestamp> {
        let what = "reading the time";
        let row = sql!("reading/now").fetch_one(&self.pool).await.map_err(failed(what))?;
        Fields(&row).time("now").map_err(failed(what))
    }

    async fn batch(&self, tenant: TenantId, batch: BatchId) -> Result<Option<BatchRecord>> {
        let statement = sql!("reading/batch").bind(tenant.uuid()).bind(batch.uuid());
        Ok(self.read("reading a batch", statement, batch_record).await?.pop())
    }

    async fn batches(
        &self,
        tenant: TenantId,
        filter: BatchFilter<'_>,
        page: Page<BatchId>,
    ) -> Result<Vec<BatchRecord>> {
        let (statement, from) = if filter.newest_first {
            (sql!("reading/batches_newest"), page.after.map_or(Uuid::max(), BatchId::uuid))
        } else {
            (sql!("reading/batches"), after(page, BatchId::uuid))
        };
        let statement = statement
            .bind(tenant.uuid())
            .bind(from)
            .bind(i64::from(page.limit))
            .bind(filter.state.map(BatchState::code))
            .bind(filter.label);
        self.read("reading batches", statement, batch_record).await
    }

    async fn job(&self, tenant: TenantId, job: JobId) -> Result<Option<JobRecord>> {
        let statement = sql!("reading/job").bind(tenant.uuid()).bind(job.uuid());
        Ok(self.read("reading a job", statement, job_record).await?.pop())
    }

    async fn jobs(
        &self,
        tenant: TenantId,
        batch: BatchId,
        state: Option<JobState>,
        page: Page<JobId>,
    ) -> Result<Vec<JobRecord>> {
        let statement = sql!("reading/jobs")
            .bind(tenant.uuid())
            .bind(batch.uuid())
            .bind(state.map(JobState::code))
            .bind(after(page, JobId::uuid))
            .bind(i64::from(page.limit));
        self.read("reading jobs", statement, job_record).await
    }

    async fn endings(
        &self,
        tenant: TenantId,
        batch: BatchId,
        states: &[JobState],
        after: Cursor,
        limit: u32,
    ) -> Result<Vec<(Cursor, JobRecord)>> {
        let states: Vec<&str> = states.iter().map(|state| state.code()).collect();
        let statement = sql!("reading/endings")
            .bind(adapter::as_i64(after.transaction))
            .bind(adapter::as_i64(after.entry))
            .bind(i64::from(limit))
            .bind(tenant.uuid())
            .bind(batch.uuid())
            .bind(states);
        self.read("reading ended jobs", statement, ending).await
    }

    async fn attempts(&self, tenant: TenantId, job: JobId) -> Result<Vec<AttemptRecord>> {
        let statement = sql!("reading/attempts").bind(tenant.uuid()).bind(job.uuid());
        self.read("reading attempts", statement, attempt).await
    }

    async fn events(&self, scope: EventScope, after: Cursor, limit: u32) -> Result<Vec<EventRecord>> {
        let position = (adapter::as_i64(after.transaction), adapter::as_i64(after.entry));
        let statement = match scope {
            EventScope::All => {
                sql!("reading/events").bind(position.0).bind(position.1).bind(i64::from(limit))
            }
            EventScope::Tenant(tenant) => sql!("reading/events_of_tenant")
                .bind(position.0)
                .bind(position.1)
                .bind(i64::from(limit))
                .bind(tenant.uuid()),
            EventScope::Batch(tenant, batch) => sql!("reading/events_of_batch")
                .bind(position.0)
                .bind(position.1)
                .bind(i64::from(limit))
                .bind(tenant.uuid())
                .bind(batch.uuid()),
        };
        self.read("reading events", statement, event).await
    }

    async fn job_events(&self, tenant: TenantId, job: JobId) -> Result<Vec<EventRecord>> {
        let statement = sql!("reading/events_of_job").bind(tenant.uuid()).bind(job.uuid());
        self.read("reading events", statement, event).await
    }

    async fn usage(&self, tenant: TenantId, from: Timestamp, to: Timestamp) -> Result<Vec<UsageDay>> {
        let statement = sql!("reading/usage").bind(tenant.uuid()).bind(from.micros()).bind(to.micros());
        self.read("reading the usage", statement, usage_day).await
    }
}

impl PostgresStore {
    /// Reads rows outside of any transaction: one statement is one snapshot.
    pub(crate) async fn read<T>(
        &self,
        what: &'static str,
        statement: sqlx::query::Query<'_, sqlx::Postgres, sqlx::postgres::PgArguments>,
        record: impl Fn(&Fields<'_>) -> Read<T>,
    ) -> Result<Vec<T>> {
        let rows = statement.fetch_all(&self.pool).await.map_err(failed(what))?;
        rows.iter().map(|row: &PgRow| record(&Fields(row))).collect::<Read<_>>().map_err(failed(what))
    }
}

/// Where a page begins; the nil UUID is before every id.
pub(crate) fn after<Id>(page: Page<Id>, uuid: impl Fn(Id) -> Uuid) -> Uuid {
    page.after.map_or(Uuid::nil(), uuid)
}

fn batch_record(row: &Fields<'_>) -> Read<BatchRecord> {
    Ok(BatchRecord {
        id: row.id("id")?,
        tenant: row.id("tenant")?,
        band: row.band("band")?,
        label: row.get("label")?,
        meta: row.json("meta")?,
        state: row.batch_state("state")?,
        paused: row.flag("paused")?,
        cancel_requested: row.flag("cancel_requested")?,
        generation: row.count("generation")?,
        totals: VerdictTotals {
            new: row.count("rows_new")?,
            duplicate: row.count("rows_duplicate")?,
            invalid: row.count("rows_invalid")?,
        },
        counts: row.counts("")? + row.counts("d_")?,
        created_at: row.time("created_at")?,
        ended_at: row.time_or_none("ended_at")?,
    })
}

fn job_record(row: &Fields<'_>) -> Read<JobRecord> {
    Ok(JobRecord {
        spec: new_job(row)?,
        batch: row.id("batch")?,
        tenant: row.id("tenant")?,
        state: row.state("state")?,
        epoch: row.count("epoch")?,
        tally: row.tally()?,
        dispatched_at: row.time_or_none("dispatched_at")?,
        output: row.json_or_none("output")?,
        error: row.error()?,
        created_at: row.time("created_at")?,
        ended_at: row.time_or_none("ended_at")?,
        run: if row.flag("runs")? { Some(run(row)?) } else { None },
    })
}

fn ending(row: &Fields<'_>) -> Read<(Cursor, JobRecord)> {
    let cursor = Cursor { transaction: row.count("transaction")?, entry: row.count("entry")? };
    Ok((cursor, job_record(row)?))
}

fn new_job(row: &Fields<'_>) -> Read<NewJob> {
    let inputs = serde_json::from_value(row.json("inputs")?)
        .map_err(|_| unreadable("inputs", "is no list of references"))?;
    Ok(NewJob {
        id: row.id("id")?,
        key: row.get("key")?,
        kind: row.parsed("kind")?,
        version: row.count("version")?,
        payload: row.json("payload")?,
        inputs,
        pool: row.parsed("pool")?,
        shape: row.get("shape")?,
        cost_ms: row.count("cost_ms")?,
        run_at: row.time_or_none("run_at")?,
        deadline: row.time_or_none("deadline")?,
        timeout: row.millis("timeout_ms")?,
        retry: row.retry()?,
        after: dependencies(row.json("waits_for")?)?,
    })
}

fn dependencies(waits_for: Value) -> Read<Vec<Dependency>> {
    let pairs: Vec<(Option<String>, Option<String>)> = serde_json::from_value(waits_for)
        .map_err(|_| unreadable("waits_for", "is no list of dependencies"))?;
    let dependency = |(job, batch): (Option<String>, Option<String>)| match (job, batch) {
        (Some(job), _) => Ok(Dependency::Job(uuid("on_job", &job)?.into())),
        (None, batch) => Ok(Dependency::Batch(uuid("on_batch", &batch.unwrap_or_default())?.into())),
    };
    pairs.into_iter().map(dependency).collect()
}

fn run(row: &Fields<'_>) -> Read<RunRecord> {
    Ok(RunRecord {
        boot: row.id("boot")?,
        started_at: row.time("started_at")?,
        expires_at: row.time("expires_at")?,
        step: row.count("step")?,
        steps: row.count("steps")?,
        cancel_requested: row.int("signal")? == 2,
    })
}

fn attempt(row: &Fields<'_>) -> Read<AttemptRecord> {
    Ok(AttemptRecord {
        epoch: row.count("epoch")?,
        boot: row.id("boot")?,
        started_at: row.time("started_at")?,
        ended_at: row.time("ended_at")?,
        outcome: row.get("outcome")?,
        charged: row.flag("charged")?,
        error: row.error()?,
        cost: cost(row)?,
    })
}

fn usage_day(row: &Fields<'_>) -> Read<UsageDay> {
    Ok(UsageDay {
        day: row.time("day")?,
        runs: row.count("runs")?,
        succeeded: row.count("succeeded")?,
        files: row.count("files")?,
        cost: cost(row)?,
    })
}

fn cost(row: &Fields<'_>) -> Read<Cost> {
    Ok(Cost {
        device_ms: row.count("device_ms")?,
        forwards: row.count("forwards")?,
        load_ms: row.count("load_ms")?,
    })
}

fn event(row: &Fields<'_>) -> Read<EventRecord> {
    Ok(EventRecord {
        cursor: Cursor { transaction: row.count("transaction")?, entry: row.count("id")? },
        tenant: row.id("tenant")?,
        batch: row.id("batch")?,
        job: row.id_or_none("job")?,
        event: row.get("event")?,
        epoch: row.count("epoch")?,
        state: row.get("state")?,
        at: row.time("at")?,
    })
}
