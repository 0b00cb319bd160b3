//! Writing what happened to jobs: rows, attempts, leases, events, counts, and what waited for them.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use retouch_domain::{BatchId, Change, Counts, JobId, LockedJob};
use retouch_ports::store::Fence;
use retouch_ports::store::adapter::{self, Waits};
use uuid::Uuid;

use crate::error::failed;
use crate::fields::Fields;
use crate::{PART, Result, Tx, sql};

/// What happens to a set of jobs within one transaction.
pub(crate) struct Changes<'t> {
    pub(crate) tx: &'t mut Tx,
    counts: BTreeMap<BatchId, Counts>,
}

impl<'t> Changes<'t> {
    pub(crate) fn new(tx: &'t mut Tx) -> Self {
        Self { tx, counts: BTreeMap::new() }
    }

    /// Jobs with their runs, in the order of the ids; those that are not there are left out.
    pub(crate) async fn lock(&mut self, ids: impl IntoIterator<Item = JobId>) -> Result<Vec<LockedJob>> {
        let ids = self.lock_rows(ids).await?;
        let rows =
            sql!("change/read").bind(ids).fetch_all(&mut **self.tx).await.map_err(failed("reading jobs"))?;
        let locked = rows.iter().map(|row| Fields(row).locked());
        locked.collect::<std::result::Result<_, _>>().map_err(failed("reading jobs"))
    }

    /// Locks jobs. What they are is for the next statement to read: this one may have waited, and sees what was before.
    pub(crate) async fn lock_rows(&mut self, ids: impl IntoIterator<Item = JobId>) -> Result<Vec<Uuid>> {
        let ids = uuids(ids);
        run(sql!("change/lock").bind(&ids), self.tx, "locking jobs").await?;
        Ok(ids)
    }

    /// Adds to a batch's counts.
    pub(crate) fn count(&mut self, batch: BatchId, counts: Counts) {
        *self.counts.entry(batch).or_default() += counts;
    }

    /// Writes a change of counts even if it is none, so that the batch is looked at when counts are folded.
    pub(crate) async fn count_always(&mut self, batch: BatchId, counts: Counts) -> Result<()> {
        let rows = adapter::counts(&BTreeMap::from([(batch, counts)])).to_string();
        run(sql!("change/insert_deltas").bind(rows), self.tx, "writing counts").await?;
        Ok(())
    }

    /// Writes the changes and whatever follows from them for jobs that waited.
    pub(crate) async fn apply(&mut self, changes: Vec<Change>) -> Result<()> {
        let mut next = changes;
        while !next.is_empty() {
            self.write(&next).await?;
            let over =
                next.iter().filter(|change| change.state.is_terminal()).map(|change| change.before.job);
            let waiting = self.dependents_of_jobs(uuids(over)).await?;
            next = self.follow(waiting).await?;
        }
        Ok(())
    }

    /// Lets go on, or fail, what waited for batches that ended.
    pub(crate) async fn apply_batches_over(&mut self, batches: &[BatchId]) -> Result<()> {
        let rows = sql!("change/dependents_of_batches")
            .bind(batches.iter().map(|batch| batch.uuid()).collect::<Vec<_>>())
            .fetch_all(&mut **self.tx)
            .await
            .map_err(failed("reading dependencies"))?;
        let waiting = jobs_of(&rows, "job")?;
        let next = self.follow(waiting).await?;
        self.apply(next).await
    }

    /// Writes the counts that came together. The last call.
    pub(crate) async fn finish(self) -> Result<()> {
        let mut counts = self.counts;
        counts.retain(|_, counts| !counts.is_zero());
        if counts.is_empty() {
            return Ok(());
        }
        let rows = adapter::counts(&counts).to_string();
        run(sql!("change/insert_deltas").bind(rows), self.tx, "writing counts").await?;
        Ok(())
    }

    async fn write(&mut self, changes: &[Change]) -> Result<()> {
        for change in changes {
            self.count(change.before.batch, change.counts());
        }
        let what = "changing jobs";
        let row = sql!("change/write")
            .bind(adapter::changes(changes).to_string())
            .fetch_one(&mut **self.tx)
            .await
            .map_err(failed(what))?;
        let changed = Fields(&row).count("changed").map_err(failed(what))?;
        adapter::all_changed(changed, changes.len())
    }

    async fn dependents_of_jobs(&mut self, over: Vec<Uuid>) -> Result<Vec<JobId>> {
        if over.is_empty() {
            return Ok(Vec::new());
        }
        let rows = sql!("change/dependents_of_jobs")
            .bind(over)
            .fetch_all(&mut **self.tx)
            .await
            .map_err(failed("reading dependencies"))?;
        jobs_of(&rows, "job")
    }

    /// What becomes of blocked jobs after something that they wait for has ended.
    async fn follow(&mut self, waiting: Vec<JobId>) -> Result<Vec<Change>> {
        if waiting.is_empty() {
            return Ok(Vec::new());
        }
        // Whoever lets the same job go on, or gives it another run, waits here, and then sees what the other did.
        let locked = self.lock(waiting).await?;
        let waits = self.waits(locked.iter().map(|job| job.job)).await?;
        adapter::follow(locked, &waits)
    }

    /// What locked jobs wait for.
    pub(crate) async fn waits(
        &mut self,
        jobs: impl IntoIterator<Item = JobId>,
    ) -> Result<HashMap<JobId, Waits>> {
        let what = "reading dependencies";
        let statement = sql!("change/waits").bind(uuids(jobs));
        let rows = statement.fetch_all(&mut **self.tx).await.map_err(failed(what))?;
        let waits = |row| {
            let row = Fields(row);
            Ok((row.id("job")?, Waits { unmet: row.flag("unmet")?, doomed: row.flag("doomed")? }))
        };
        rows.iter().map(waits).collect::<std::result::Result<_, _>>().map_err(failed(what))
    }

    /// Deletes some jobs of a failed batch, and fails what waits for them without their having succeeded. False if there
    /// were none.
    pub(crate) async fn delete_jobs(&mut self, batch: BatchId) -> Result<bool> {
        let what = "deleting jobs";
        let statement = sql!("change/jobs_of_batch").bind(batch.uuid()).bind(i64::from(PART));
        let rows = statement.fetch_all(&mut **self.tx).await.map_err(failed(what))?;
        // Locked before their dependents are read: whoever stores another dependent holds them until it can be seen.
        let jobs = self.lock_rows(jobs_of(&rows, "id")?).await?;
        if jobs.is_empty() {
            return Ok(false);
        }
        run(sql!("change/forget_met_jobs").bind(&jobs), self.tx, what).await?;
        let waiting = self.dependents_of_jobs(jobs.clone()).await?;
        for statement in [
            sql!("change/delete_attempts"),
            sql!("change/delete_job_events"),
            sql!("change/delete_dependencies"),
            sql!("change/delete_jobs"),
        ] {
            run(statement.bind(&jobs), self.tx, what).await?;
        }
        let next = self.follow(waiting).await?;
        self.apply(next).await?;
        Ok(true)
    }

    /// From here on nothing of the batch runs, is loaded or retried: its rows are to be deleted.
    pub(crate) async fn fail_batch(&mut self, batch: BatchId) -> Result<()> {
        run(sql!("submission/fail_batch").bind(batch.uuid()), self.tx, "giving up a batch").await?;
        Ok(())
    }

    /// Logs an event of a batch.
    pub(crate) async fn log_batch(&mut self, batch: BatchId, event: &'static str) -> Result<()> {
        let statement = sql!("change/insert_batch_event").bind(batch.uuid()).bind(event);
        run(statement, self.tx, "logging an event").await?;
        Ok(())
    }
}

/// Ids as the database takes them.
pub(crate) fn uuids(ids: impl IntoIterator<Item = JobId>) -> Vec<Uuid> {
    ids.into_iter().map(JobId::uuid).collect()
}

/// Runs a statement, and answers how many rows it changed.
pub(crate) async fn run(
    statement: sqlx::query::Query<'_, sqlx::Postgres, sqlx::postgres::PgArguments>,
    tx: &mut Tx,
    what: &'static str,
) -> Result<u64> {
    Ok(statement.execute(&mut **tx).await.map_err(failed(what))?.rows_affected())
}

/// The ids in a column.
pub(crate) fn jobs_of(rows: &[sqlx::postgres::PgRow], column: &str) -> Result<Vec<JobId>> {
    rows.iter()
        .map(|row| Fields(row).id(column))
        .collect::<std::result::Result<_, _>>()
        .map_err(failed("reading jobs"))
}

/// Runs as two columns.
pub(crate) fn fence_columns(fences: impl IntoIterator<Item = Fence>) -> (Vec<Uuid>, Vec<i32>) {
    let column = |fence: Fence| (fence.job.uuid(), i32::try_from(fence.epoch).unwrap_or(i32::MAX));
    fences.into_iter().map(column).unzip()
}

/// A length of time as the database counts it.
pub(crate) fn micros(length: Duration) -> i64 {
    i64::try_from(length.as_micros()).unwrap_or(i64::MAX)
}
