//! What reconcilers do.

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use retouch_domain::{
    BatchId, BatchState, Change, Cost, Event, Illegal, JobId, LockedJob, TenantId, WorkerBootId,
};
use retouch_ports::store::adapter::{self, Unfolded};
use retouch_ports::store::{BatchOver, Fence, Orphan, Upkeep};
use sqlx::postgres::PgRow;

use uuid::Uuid;

use crate::change::{Changes, fence_columns, jobs_of, micros, run};
use crate::error::failed;
use crate::fields::Fields;
use crate::{PostgresStore, Result, again, commit, sql};

type Statement = sqlx::query::Query<'static, sqlx::Postgres, sqlx::postgres::PgArguments>;

#[async_trait]
impl Upkeep for PostgresStore {
    async fn release_due(&self, limit: u32) -> Result<u64> {
        again(|| {
            let due = sql!("upkeep/due").bind(i64::from(limit));
            self.change_all("releasing due jobs", due, |job| job.change(Event::Due))
        })
        .await
    }

    async fn holders(&self) -> Result<Vec<WorkerBootId>> {
        let what = "reading who holds leases";
        let rows = sql!("upkeep/holders").fetch_all(&self.pool).await.map_err(failed(what))?;
        let boot = |row: &PgRow| Fields(row).id("boot");
        rows.iter().map(boot).collect::<std::result::Result<_, _>>().map_err(failed(what))
    }

    async fn reap_leases(&self, dead: &[WorkerBootId], limit: u32, random: f64) -> Result<Vec<JobId>> {
        again(|| self.reap(dead, limit, random)).await
    }

    async fn expire_deadlines(&self, limit: u32) -> Result<u64> {
        again(|| {
            let past = sql!("upkeep/past_deadline").bind(i64::from(limit));
            self.change_all("expiring deadlines", past, |job| job.change(Event::DeadlinePassed))
        })
        .await
    }

    async fn finish_cancels(&self, limit: u32) -> Result<u64> {
        again(|| self.cancel_waiting(None, limit)).await
    }

    async fn fold(&self, limit: u32) -> Result<Vec<BatchOver>> {
        again(|| self.fold_some(limit)).await
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
        while again(|| self.delete_part(tenant, batch)).await? {}
        Ok(())
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
    async fn reap(&self, dead: &[WorkerBootId], limit: u32, random: f64) -> Result<Vec<JobId>> {
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
        let loss = |row| {
            let row = Fields(row);
            Ok((row.id("id")?, adapter::reaped(row.flag("dead")?, !row.flag("unexpired")?)))
        };
        let losses: HashMap<JobId, _> =
            rows.iter().map(loss).collect::<std::result::Result<_, _>>().map_err(failed(what))?;
        let mut locked = changes.lock(losses.keys().copied()).await?;
        locked.retain(|job| job.run.is_some());
        let reaped = locked.iter().map(|job| job.job).collect();
        let lost = adapter::each(locked, |job| {
            let loss = losses[&job.job];
            job.lost(loss, None, Cost::default(), random)
        })?;
        changes.apply(lost).await?;
        changes.finish().await?;
        commit(tx, what).await?;
        Ok(reaped)
    }

    async fn fold_some(&self, limit: u32) -> Result<Vec<BatchOver>> {
        let what = "folding counts";
        let mut tx = self.write(what).await?;
        let mut changes = Changes::new(&mut tx);
        // A batch is locked before its changes are read: whoever reopens it writes under the same lock.
        let rows = sql!("upkeep/to_fold")
            .bind(i64::from(limit))
            .fetch_all(&mut **changes.tx)
            .await
            .map_err(failed(what))?;
        let id = |row| Fields(row).id::<Uuid>("id");
        let batches: Vec<Uuid> =
            rows.iter().map(id).collect::<std::result::Result<_, _>>().map_err(failed(what))?;
        if batches.is_empty() {
            return Ok(Vec::new());
        }
        let rows =
            sql!("upkeep/deltas").bind(batches).fetch_all(&mut **changes.tx).await.map_err(failed(what))?;
        let unfolded = |row| unfolded(&Fields(row));
        let batches: Vec<Unfolded> =
            rows.iter().map(unfolded).collect::<std::result::Result<_, _>>().map_err(failed(what))?;
        run(sql!("upkeep/fold").bind(adapter::folded(&batches).to_string()), changes.tx, what).await?;
        let over: Vec<BatchOver> = batches.iter().filter_map(Unfolded::over).collect();
        for batch in &over {
            changes.log_batch(batch.batch, "batch_over").await?;
        }
        changes.tell(adapter::told(&batches)).await?;
        let ids: Vec<BatchId> = over.iter().map(|batch| batch.batch).collect();
        changes.apply_batches_over(&ids).await?;
        changes.finish().await?;
        commit(tx, what).await?;
        Ok(over)
    }

    /// Deletes some of an ended batch; false if all of it is gone.
    async fn delete_part(&self, tenant: TenantId, batch: BatchId) -> Result<bool> {
        let what = "deleting a batch";
        let mut tx = self.write(what).await?;
        let mut changes = Changes::new(&mut tx);
        let (state, _) = changes.batch_of(tenant, batch).await?;
        adapter::must_be_over(state, batch)?;
        if state == BatchState::Completed {
            run(sql!("upkeep/forget_met_batch").bind(batch.uuid()), changes.tx, what).await?;
        }
        if state != BatchState::Failed {
            // Nobody retries what is half gone.
            changes.fail_batch(batch).await?;
        }
        let more = changes.delete_jobs(batch).await?;
        changes.finish().await?;
        if !more {
            for statement in [
                sql!("upkeep/delete_batch_events"),
                sql!("upkeep/delete_batch_deltas"),
                sql!("upkeep/delete_batch"),
            ] {
                run(statement.bind(batch.uuid()), &mut tx, what).await?;
            }
        }
        commit(tx, what).await?;
        Ok(more)
    }

    /// Changes every job that a statement finds. Answers how many.
    async fn change_all(
        &self,
        what: &'static str,
        find: Statement,
        rule: impl Fn(LockedJob) -> std::result::Result<Change, Illegal>,
    ) -> Result<u64> {
        let mut tx = self.write(what).await?;
        let mut changes = Changes::new(&mut tx);
        let rows = find.fetch_all(&mut **changes.tx).await.map_err(failed(what))?;
        let locked = changes.lock(jobs_of(&rows, "id")?).await?;
        let count = locked.len();
        let changed = adapter::each(locked, rule)?;
        changes.apply(changed).await?;
        changes.finish().await?;
        commit(tx, what).await?;
        Ok(u64::try_from(count).unwrap_or(u64::MAX))
    }
}

fn unfolded(row: &Fields<'_>) -> std::result::Result<Unfolded, sqlx::Error> {
    Ok(Unfolded {
        batch: row.id("batch")?,
        tenant: row.id("tenant")?,
        state: row.batch_state("state")?,
        generation: row.count("generation")?,
        cancel_requested: row.flag("cancel_requested")?,
        counts: row.counts("")? + row.counts("d_")?,
    })
}
