//! Writing what happened to jobs: rows, attempts, leases, events, counts, and what waited for them.

use std::collections::{BTreeMap, HashMap};

use retouch_domain::{BatchId, Change, Counts, Event, JobId, LockedJob};
use retouch_ports::store::adapter::{self, Waits};

use crate::error::failed;
use crate::fields::Fields;
use crate::{PART, Result, Tx, sql};

/// What happens to a set of jobs within one transaction.
pub(crate) struct Changes<'t> {
    pub(crate) tx: &'t mut Tx,
    /// The moment of all that is written.
    pub(crate) now: i64,
    counts: BTreeMap<BatchId, Counts>,
}

impl<'t> Changes<'t> {
    pub(crate) fn new(tx: &'t mut Tx, now: i64) -> Self {
        Self { tx, now, counts: BTreeMap::new() }
    }

    /// Jobs with their runs, in the order of the ids; those that are not there are left out.
    pub(crate) async fn lock(&mut self, ids: impl IntoIterator<Item = JobId>) -> Result<Vec<LockedJob>> {
        let rows = sql!("change/lock")
            .bind(adapter::ids(ids).to_string())
            .bind(self.now)
            .fetch_all(&mut **self.tx)
            .await
            .map_err(failed("reading jobs"))?;
        rows.iter()
            .map(|row| Fields(row).locked())
            .collect::<std::result::Result<_, _>>()
            .map_err(failed("reading jobs"))
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
            let waiting = self.dependents_of_jobs(adapter::ids(over).to_string()).await?;
            next = self.follow(waiting).await?;
        }
        Ok(())
    }

    /// Lets go on, or fail, what waited for batches that ended.
    pub(crate) async fn apply_batches_over(&mut self, batches: &[BatchId]) -> Result<()> {
        let rows = sql!("change/dependents_of_batches")
            .bind(adapter::ids(batches).to_string())
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
        let rows = adapter::changes(changes).to_string();
        let what = "changing jobs";
        let changed = run(sql!("change/update_jobs").bind(&rows).bind(self.now), self.tx, what).await?;
        adapter::all_changed(usize::try_from(changed).unwrap_or(usize::MAX), changes.len())?;
        if changes.iter().any(|change| change.attempt.is_some()) {
            run(sql!("change/insert_attempts").bind(&rows).bind(self.now), self.tx, "recording attempts")
                .await?;
            run(sql!("change/delete_leases").bind(&rows), self.tx, "releasing leases").await?;
        }
        if changes.iter().any(|change| change.state.is_terminal()) {
            run(sql!("change/delete_exports").bind(&rows), self.tx, "dropping exported states").await?;
        }
        run(sql!("change/insert_events").bind(&rows).bind(self.now), self.tx, "logging events").await?;
        let unblocked = |change: &&Change| matches!(change.event, Event::Unblocked | Event::UnblockedLater);
        let unblocked: Vec<JobId> =
            changes.iter().filter(unblocked).map(|change| change.before.job).collect();
        if !unblocked.is_empty() {
            let rows = adapter::ids(unblocked).to_string();
            run(sql!("change/delete_dependencies").bind(rows), self.tx, "dropping dependencies").await?;
        }
        Ok(())
    }

    async fn dependents_of_jobs(&mut self, over: String) -> Result<Vec<JobId>> {
        if over == "[]" {
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
        let locked = self.lock(waiting).await?;
        let waits = self.waits(locked.iter().map(|job| job.job)).await?;
        adapter::follow(locked, &waits)
    }

    /// What jobs wait for.
    pub(crate) async fn waits(
        &mut self,
        jobs: impl IntoIterator<Item = JobId>,
    ) -> Result<HashMap<JobId, Waits>> {
        let what = "reading dependencies";
        let statement = sql!("change/waits").bind(adapter::ids(jobs).to_string());
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
        let statement = sql!("change/jobs_of_batch").bind(batch.to_string()).bind(PART);
        let rows = statement.fetch_all(&mut **self.tx).await.map_err(failed(what))?;
        if rows.is_empty() {
            return Ok(false);
        }
        let jobs = adapter::ids(jobs_of(&rows, "id")?).to_string();
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
        let statement = sql!("submission/fail_batch").bind(batch.to_string()).bind(self.now);
        run(statement, self.tx, "giving up a batch").await?;
        Ok(())
    }

    /// Logs an event of a batch.
    pub(crate) async fn log_batch(&mut self, batch: BatchId, event: &'static str) -> Result<()> {
        let statement = sql!("change/insert_batch_event").bind(batch.to_string()).bind(event).bind(self.now);
        run(statement, self.tx, "logging an event").await?;
        Ok(())
    }
}

/// Runs a statement, and answers how many rows it changed.
pub(crate) async fn run(
    statement: sqlx::query::Query<'_, sqlx::Sqlite, sqlx::sqlite::SqliteArguments>,
    tx: &mut Tx,
    what: &'static str,
) -> Result<u64> {
    Ok(statement.execute(&mut **tx).await.map_err(failed(what))?.rows_affected())
}

/// The ids in a column.
pub(crate) fn jobs_of(rows: &[sqlx::sqlite::SqliteRow], column: &str) -> Result<Vec<JobId>> {
    rows.iter()
        .map(|row| Fields(row).id(column))
        .collect::<std::result::Result<_, _>>()
        .map_err(failed("reading jobs"))
}
