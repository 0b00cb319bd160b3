//! What reconcilers do.

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use retouch_domain::{
    BatchId, BatchState, Change, Cost, Event, Illegal, JobId, LockedJob, Loss, TenantId, WorkerBootId,
};
use retouch_ports::store::{BatchOver, Fence, Orphan, Upkeep};
use serde_json::{Value, json};
use sqlx::postgres::PgRow;

use uuid::Uuid;

use crate::change::{Changes, conflict, fence_columns, illegal, jobs_of, micros, not_found, run, uuids};
use crate::error::failed;
use crate::fields::Fields;
use crate::{PART, PostgresStore, Result, commit, sql};

type Statement = sqlx::query::Query<'static, sqlx::Postgres, sqlx::postgres::PgArguments>;

#[async_trait]
impl Upkeep for PostgresStore {
    async fn release_due(&self, limit: u32) -> Result<u64> {
        let due = sql!("upkeep/due").bind(i64::from(limit));
        self.change_all("releasing due jobs", due, |job| job.change(Event::Due)).await
    }

    async fn holders(&self) -> Result<Vec<WorkerBootId>> {
        let what = "reading who holds leases";
        let rows = sql!("upkeep/holders").fetch_all(&self.pool).await.map_err(failed(what))?;
        let boot = |row: &PgRow| Fields(row).id("boot");
        rows.iter().map(boot).collect::<std::result::Result<_, _>>().map_err(failed(what))
    }

    async fn reap_leases(&self, dead: &[WorkerBootId], limit: u32, random: f64) -> Result<Vec<JobId>> {
        let what = "reaping leases";
        let mut tx = self.write(what).await?;
        let mut changes = Changes::new(&mut tx);
        let dead: Vec<Uuid> = dead.iter().map(|boot| boot.uuid()).collect();
        let rows = sql!("upkeep/ended_leases")
            .bind(&dead)
            .bind(i64::from(limit))
            .fetch_all(&mut **changes.tx)
            .await
            .map_err(failed(what))?;
        // Jobs before leases, as everybody does; then a beat may have come in the meantime.
        let jobs = changes.lock_rows(jobs_of(&rows, "id")?).await?;
        let rows = sql!("upkeep/still_ended")
            .bind(&dead)
            .bind(&jobs)
            .fetch_all(&mut **changes.tx)
            .await
            .map_err(failed(what))?;
        let mut losses: HashMap<JobId, Loss> = HashMap::new();
        for row in &rows {
            let row = Fields(row);
            let dead = row.flag("dead").map_err(failed(what))?;
            let unexpired = row.flag("unexpired").map_err(failed(what))?;
            let loss = match (dead, unexpired) {
                (true, _) => Loss::Crash,
                (false, true) => Loss::Timeout,
                (false, false) => Loss::LeaseExpired,
            };
            losses.insert(row.id("id").map_err(failed(what))?, loss);
        }
        let locked = changes.lock(jobs_of(&rows, "id")?).await?;
        let reaped = locked.iter().map(|job| job.job).collect();
        let lost = |job: LockedJob| {
            let loss = losses.get(&job.job).copied().unwrap_or(Loss::LeaseExpired);
            job.lost(loss, None, Cost::default(), random)
        };
        let lost: std::result::Result<Vec<Change>, Illegal> = locked.into_iter().map(lost).collect();
        changes.apply(lost.map_err(illegal)?).await?;
        changes.finish().await?;
        commit(tx, what).await?;
        Ok(reaped)
    }

    async fn expire_deadlines(&self, limit: u32) -> Result<u64> {
        let past = sql!("upkeep/past_deadline").bind(i64::from(limit));
        self.change_all("expiring deadlines", past, |job| job.change(Event::DeadlinePassed)).await
    }

    async fn finish_cancels(&self, limit: u32) -> Result<u64> {
        self.cancel_waiting(None, limit).await
    }

    async fn fold(&self, limit: u32) -> Result<Vec<BatchOver>> {
        let what = "folding counts";
        let mut tx = self.write(what).await?;
        let mut changes = Changes::new(&mut tx);
        // A batch is locked before its changes are read: whoever reopens it writes under the same lock.
        let rows = sql!("upkeep/to_fold")
            .bind(i64::from(limit))
            .fetch_all(&mut **changes.tx)
            .await
            .map_err(failed(what))?;
        let batches: Vec<Uuid> = rows
            .iter()
            .map(|row| Fields(row).id("id"))
            .collect::<std::result::Result<_, _>>()
            .map_err(failed(what))?;
        if batches.is_empty() {
            return Ok(Vec::new());
        }
        let rows =
            sql!("upkeep/deltas").bind(batches).fetch_all(&mut **changes.tx).await.map_err(failed(what))?;
        let (mut folded, mut over) = (Vec::new(), Vec::new());
        for row in &rows {
            let (row, ended) = fold(&Fields(row)).map_err(failed(what))?;
            folded.push(row);
            over.extend(ended);
        }
        let folded = Value::Array(folded).to_string();
        run(sql!("upkeep/fold").bind(folded), changes.tx, what).await?;
        for batch in &over {
            changes.log_batch(batch.batch, "batch_over").await?;
        }
        let ids: Vec<BatchId> = over.iter().map(|batch| batch.batch).collect();
        changes.apply_batches_over(&ids).await?;
        changes.finish().await?;
        commit(tx, what).await?;
        Ok(over)
    }

    async fn orphans(&self, limit: u32) -> Result<Vec<Orphan>> {
        let what = "looking for orphaned runs";
        let rows = sql!("upkeep/orphans")
            .bind(i64::from(limit))
            .fetch_all(&self.pool)
            .await
            .map_err(failed(what))?;
        let orphan = |row: &PgRow| {
            let row = Fields(row);
            let fence = Fence { job: row.id("job")?, epoch: row.count("epoch")? };
            Ok(Orphan { tenant: row.id("tenant")?, batch: row.id("batch")?, fence })
        };
        rows.iter().map(orphan).collect::<std::result::Result<_, _>>().map_err(failed(what))
    }

    async fn swept(&self, runs: &[Fence]) -> Result<()> {
        let what = "recording swept files";
        let mut tx = self.write(what).await?;
        let (jobs, epochs) = fence_columns(runs.iter().copied());
        run(sql!("upkeep/swept").bind(jobs).bind(epochs), &mut tx, what).await?;
        commit(tx, what).await
    }

    async fn ended_batches(&self, age: Duration, limit: u32) -> Result<Vec<(TenantId, BatchId)>> {
        let what = "looking for old batches";
        let rows = sql!("upkeep/ended_batches")
            .bind(micros(age))
            .bind(i64::from(limit))
            .fetch_all(&self.pool)
            .await
            .map_err(failed(what))?;
        let batch = |row: &PgRow| Ok((Fields(row).id("tenant")?, Fields(row).id("id")?));
        rows.iter().map(batch).collect::<std::result::Result<_, _>>().map_err(failed(what))
    }

    async fn delete_batch(&self, tenant: TenantId, batch: BatchId) -> Result<()> {
        let what = "deleting a batch";
        loop {
            let mut tx = self.write(what).await?;
            let changes = Changes::new(&mut tx);
            let row = sql!("control/batch_of_tenant")
                .bind(batch.uuid())
                .bind(tenant.uuid())
                .fetch_optional(&mut **changes.tx)
                .await
                .map_err(failed(what))?;
            let row = row.ok_or_else(|| not_found("batch", batch))?;
            let state = Fields(&row).batch_state("state").map_err(failed(what))?;
            if matches!(state, BatchState::Open | BatchState::Loading) {
                return Err(conflict(format!(
                    "the batch {batch} is {}: only what is over is deleted",
                    state.code()
                )));
            }
            let rows = sql!("upkeep/some_jobs")
                .bind(batch.uuid())
                .bind(i64::from(PART))
                .fetch_all(&mut **changes.tx)
                .await
                .map_err(failed(what))?;
            let jobs = uuids(jobs_of(&rows, "id")?);
            for statement in [
                sql!("upkeep/delete_attempts"),
                sql!("upkeep/delete_job_events"),
                sql!("change/delete_dependencies"),
                sql!("upkeep/delete_jobs"),
            ] {
                run(statement.bind(&jobs), changes.tx, what).await?;
            }
            if rows.is_empty() {
                for statement in [
                    sql!("upkeep/delete_batch_events"),
                    sql!("upkeep/delete_batch_deltas"),
                    sql!("upkeep/delete_batch"),
                ] {
                    run(statement.bind(batch.uuid()), changes.tx, what).await?;
                }
                return commit(tx, what).await;
            }
            commit(tx, what).await?;
        }
    }

    async fn forget_answers(&self, age: Duration, limit: u32) -> Result<u64> {
        let what = "forgetting answers";
        let mut tx = self.write(what).await?;
        let statement = sql!("upkeep/forget_answers").bind(micros(age)).bind(i64::from(limit));
        let forgotten = run(statement, &mut tx, what).await?;
        commit(tx, what).await?;
        Ok(forgotten)
    }
}

impl PostgresStore {
    /// Changes every job that a statement finds. Answers how many.
    async fn change_all(
        &self,
        what: &'static str,
        find: Statement,
        rule: impl Fn(LockedJob) -> std::result::Result<Change, Illegal> + Send,
    ) -> Result<u64> {
        let mut tx = self.write(what).await?;
        let mut changes = Changes::new(&mut tx);
        let rows = find.fetch_all(&mut **changes.tx).await.map_err(failed(what))?;
        let locked = changes.lock(jobs_of(&rows, "id")?).await?;
        let count = locked.len();
        let changed: std::result::Result<Vec<Change>, Illegal> = locked.into_iter().map(rule).collect();
        changes.apply(changed.map_err(illegal)?).await?;
        changes.finish().await?;
        commit(tx, what).await?;
        Ok(u64::try_from(count).unwrap_or(u64::MAX))
    }
}

/// A batch with its changes folded in, and whether it is over now.
fn fold(row: &Fields<'_>) -> std::result::Result<(Value, Option<BatchOver>), sqlx::Error> {
    let batch: BatchId = row.id("batch")?;
    let counts = row.counts("")? + row.counts("d_")?;
    let before = row.batch_state("state")?;
    let state = match before {
        BatchState::Open => BatchState::of(&counts, row.flag("cancel_requested")?),
        other => other,
    };
    let over = before == BatchState::Open && state != BatchState::Open;
    let folded = json!({
        "batch": batch.to_string(),
        "total": counts.total,
        "succeeded": counts.succeeded,
        "failed": counts.failed,
        "canceled": counts.canceled,
        "expired": counts.expired,
        "state": state.code(),
        "over": over,
    });
    let (tenant, generation) = (row.id("tenant")?, row.count("generation")?);
    Ok((folded, over.then_some(BatchOver { batch, tenant, state, generation })))
}
