//! Writing what happened to jobs: rows, attempts, leases, events, counts, and what waited for them.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::time::Duration;

use retouch_domain::{BatchId, Change, Counts, Event, Illegal, JobId, JobState, LockedJob};
use retouch_ports::store::{Fence, adapter};
use retouch_ports::{PortError, PortErrorKind};

use uuid::Uuid;

use crate::error::failed;
use crate::fields::Fields;
use crate::{Result, Tx, sql};

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
        let changed: usize = Fields(&row).count("changed").map_err(failed(what))?;
        if changed != changes.len() {
            let (all, what) = (changes.len(), "locked jobs were changed: the rows are not what they were");
            return Err(PortError::new(PortErrorKind::Internal, format!("{changed} of {all} {what}")));
        }
        Ok(())
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
        // Whoever lets the same job go on waits here, and then sees what the other did.
        let locked = self.lock(waiting.clone()).await?;
        let met = self.met(&waiting).await?;
        let doomed = self.doomed(&waiting).await?;
        let follow = |job: LockedJob| {
            let event = if doomed.contains(&job.job) {
                Event::DependencyFailed
            } else if !met.contains(&job.job) {
                return None;
            } else if job.later {
                Event::UnblockedLater
            } else {
                Event::Unblocked
            };
            (job.state == JobState::Blocked).then(|| job.change(event).map_err(illegal))
        };
        locked.into_iter().filter_map(follow).collect()
    }

    /// Those of the jobs that wait for nothing any more.
    pub(crate) async fn met(&mut self, jobs: &[JobId]) -> Result<Vec<JobId>> {
        let rows = sql!("change/met")
            .bind(uuids(jobs.iter().copied()))
            .fetch_all(&mut **self.tx)
            .await
            .map_err(failed("reading dependencies"))?;
        jobs_of(&rows, "job")
    }

    /// Those of the jobs that wait for something that ended without success.
    async fn doomed(&mut self, jobs: &[JobId]) -> Result<Vec<JobId>> {
        let rows = sql!("change/doomed")
            .bind(uuids(jobs.iter().copied()))
            .fetch_all(&mut **self.tx)
            .await
            .map_err(failed("reading dependencies"))?;
        jobs_of(&rows, "job")
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

/// A transition that the caller had made sure of.
pub(crate) fn illegal(error: Illegal) -> PortError {
    PortError::new(PortErrorKind::Internal, "a job was to change in a way that its state does not allow")
        .with_source(error)
}

pub(crate) fn not_found(what: &str, id: impl Display) -> PortError {
    PortError::new(PortErrorKind::NotFound, format!("there is no {what} {id}"))
}

pub(crate) fn conflict(text: impl Into<String>) -> PortError {
    PortError::new(PortErrorKind::Conflict, text)
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
