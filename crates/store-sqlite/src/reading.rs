//! Looking.

use async_trait::async_trait;
use retouch_domain::{BatchId, BatchState, Cost, Dependency, JobId, JobState, NewJob, TenantId, Timestamp};
use retouch_ports::store::{
    AttemptRecord, BatchFilter, BatchRecord, Cursor, EventRecord, EventScope, JobRecord, Page, Reading,
    RunRecord, UsageDay, VerdictTotals,
};
use sqlx::sqlite::SqliteRow;

use crate::error::failed;
use crate::fields::{Fields, unreadable, uuid};
use crate::{Result, SqliteStore, sql};

type Read<T> = std::result::Result<T, sqlx::Error>;

#[async_trait]
impl Reading for SqliteStore {
    async fn now(&self) -> Result<Timestamp> {
        Ok(self.time())
    }

    async fn batch(&self, tenant: TenantId, batch: BatchId) -> Result<Option<BatchRecord>> {
        let statement = sql!("reading/batch").bind(tenant.to_string()).bind(batch.to_string());
        Ok(self.read("reading a batch", statement, batch_record).await?.pop())
    }

    async fn batches(
        &self,
        tenant: TenantId,
        filter: BatchFilter<'_>,
        page: Page<BatchId>,
    ) -> Result<Vec<BatchRecord>> {
        let (statement, from) = if filter.newest_first {
            // Behind every id.
            let end = || "g".to_owned();
            (sql!("reading/batches_newest"), page.after.map_or_else(end, |id| id.to_string()))
        } else {
            (sql!("reading/batches"), after(page))
        };
        let statement = statement
            .bind(tenant.to_string())
            .bind(from)
            .bind(page.limit)
            .bind(filter.state.map(BatchState::code))
            .bind(filter.label);
        self.read("reading batches", statement, batch_record).await
    }

    async fn job(&self, tenant: TenantId, job: JobId) -> Result<Option<JobRecord>> {
        let statement = sql!("reading/job").bind(tenant.to_string()).bind(job.to_string());
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
            .bind(tenant.to_string())
            .bind(batch.to_string())
            .bind(state.map(JobState::code))
            .bind(after(page))
            .bind(page.limit);
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
            .bind(i64::try_from(after.entry).unwrap_or(i64::MAX))
            .bind(limit)
            .bind(tenant.to_string())
            .bind(batch.to_string())
            .bind(serde_json::json!(states).to_string());
        self.read("reading ended jobs", statement, ending).await
    }

    async fn attempts(&self, tenant: TenantId, job: JobId) -> Result<Vec<AttemptRecord>> {
        let statement = sql!("reading/attempts").bind(tenant.to_string()).bind(job.to_string());
        self.read("reading attempts", statement, attempt).await
    }

    async fn events(&self, scope: EventScope, after: Cursor, limit: u32) -> Result<Vec<EventRecord>> {
        let entry = i64::try_from(after.entry).unwrap_or(i64::MAX);
        let statement = match scope {
            EventScope::All => sql!("reading/events").bind(entry).bind(limit),
            EventScope::Tenant(tenant) => {
                sql!("reading/events_of_tenant").bind(entry).bind(limit).bind(tenant.to_string())
            }
            EventScope::Batch(tenant, batch) => sql!("reading/events_of_batch")
                .bind(entry)
                .bind(limit)
                .bind(tenant.to_string())
                .bind(batch.to_string()),
        };
        self.read("reading events", statement, event).await
    }

    async fn job_events(&self, tenant: TenantId, job: JobId) -> Result<Vec<EventRecord>> {
        let statement = sql!("reading/events_of_job").bind(tenant.to_string()).bind(job.to_string());
        self.read("reading events", statement, event).await
    }

    async fn usage(&self, tenant: TenantId, from: Timestamp, to: Timestamp) -> Result<Vec<UsageDay>> {
        let statement = sql!("reading/usage").bind(tenant.to_string()).bind(from.micros()).bind(to.micros());
        self.read("reading the usage", statement, usage_day).await
    }
}

impl SqliteStore {
    /// Reads rows outside of any transaction: one statement is one snapshot.
    pub(crate) async fn read<T>(
        &self,
        what: &'static str,
        statement: sqlx::query::Query<'_, sqlx::Sqlite, sqlx::sqlite::SqliteArguments>,
        record: impl Fn(&Fields<'_>) -> Read<T>,
    ) -> Result<Vec<T>> {
        let rows = statement.fetch_all(&self.readers).await.map_err(failed(what))?;
        rows.iter().map(|row: &SqliteRow| record(&Fields(row))).collect::<Read<_>>().map_err(failed(what))
    }
}

/// Where a page begins; the empty text is before every id.
pub(crate) fn after<Id: ToString>(page: Page<Id>) -> String {
    page.after.map(|id| id.to_string()).unwrap_or_default()
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
    Ok((Cursor { transaction: 0, entry: row.count("entry")? }, job_record(row)?))
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
        after: dependencies(row.text("waits_for")?)?,
    })
}

fn dependencies(text: &str) -> Read<Vec<Dependency>> {
    let pairs: Vec<(Option<String>, Option<String>)> =
        serde_json::from_str(text).map_err(|_| unreadable("waits_for", "is no list of dependencies"))?;
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
        cursor: Cursor { transaction: 0, entry: row.count("id")? },
        tenant: row.id("tenant")?,
        batch: row.id("batch")?,
        job: row.id_or_none("job")?,
        event: row.get("event")?,
        epoch: row.count("epoch")?,
        state: row.get("state")?,
        at: row.time("at")?,
    })
}
