//! What users and operators do.

use async_trait::async_trait;
use retouch_domain::{Band, BatchId, BatchState, Event, JobId, JobState, LockedJob, TenantId, Timestamp};
use retouch_ports::store::adapter::{self, not_found};
use retouch_ports::store::{Canceled, Control, Reading, Retried, TenantLimits};

use crate::change::{Changes, jobs_of, run};
use crate::error::failed;
use crate::fields::Fields;
use crate::{PART, Result, SqliteStore, commit, sql};

#[async_trait]
impl Control for SqliteStore {
    async fn cancel_job(&self, tenant: TenantId, job: JobId) -> Result<Canceled> {
        self.cancel_one(tenant, job).await
    }

    async fn cancel_batch(&self, tenant: TenantId, batch: BatchId) -> Result<u64> {
        let what = "canceling a batch";
        let mut tx = self.write(what).await?;
        let mut changes = Changes::new(&mut tx, self.micros());
        changes.open_batch_of(tenant, batch).await?;
        run(sql!("control/request_cancel").bind(batch.to_string()), changes.tx, what).await?;
        changes.log_batch(batch, "batch_cancel_requested").await?;
        let row = sql!("control/running_of_batch")
            .bind(batch.to_string())
            .fetch_one(&mut **changes.tx)
            .await
            .map_err(failed(what))?;
        let told = Fields(&row).count("running").map_err(failed(what))?;
        commit(tx, what).await?;
        while self.cancel_waiting(Some(batch), PART).await? > 0 {}
        Ok(told)
    }

    async fn cancel_waiting_jobs(&self, tenant: TenantId, batch: BatchId) -> Result<()> {
        let what = "canceling waiting jobs";
        let mut tx = self.write(what).await?;
        Changes::new(&mut tx, self.micros()).open_batch_of(tenant, batch).await?;
        commit(tx, what).await?;
        while self.cancel_waiting(Some(batch), PART).await? > 0 {}
        Ok(())
    }

    async fn retry_job(&self, tenant: TenantId, job: JobId) -> Result<Retried> {
        self.retry_one(tenant, job).await
    }

    async fn retry_batch(&self, tenant: TenantId, batch: BatchId) -> Result<u64> {
        let (mut count, began) = (0, self.now().await?);
        loop {
            match self.retry_part(tenant, batch, began).await {
                Ok(0) => return Ok(count),
                Ok(part) => count += part,
                // Somebody called the batch off between two parts.
                Err(error) if count > 0 && error.kind() == retouch_ports::PortErrorKind::Conflict => {
                    return Ok(count);
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn pause(&self, tenant: TenantId, batch: BatchId, now: bool) -> Result<()> {
        self.set_paused(tenant, batch, true, now).await
    }

    async fn resume(&self, tenant: TenantId, batch: BatchId) -> Result<()> {
        self.set_paused(tenant, batch, false, false).await
    }

    async fn move_to_band(&self, tenant: TenantId, batch: BatchId, band: Band) -> Result<()> {
        let what = "moving a batch to another band";
        let mut tx = self.write(what).await?;
        let mut changes = Changes::new(&mut tx, self.micros());
        changes.open_batch_of(tenant, batch).await?;
        run(sql!("control/set_band").bind(batch.to_string()).bind(band.code()), changes.tx, what).await?;
        run(sql!("control/unmark_batch").bind(batch.to_string()), changes.tx, what).await?;
        changes.log_batch(batch, "batch_moved").await?;
        commit(tx, what).await
    }

    async fn set_limits(&self, tenant: TenantId, limits: TenantLimits) -> Result<()> {
        let what = "setting a tenant's limits";
        adapter::limits_are_valid(tenant, &limits)?;
        let mut tx = self.write(what).await?;
        let statement = sql!("control/set_limits")
            .bind(tenant.to_string())
            .bind(i64::from(limits.weight))
            .bind(limits.max_running.map(i64::from));
        run(statement, &mut tx, what).await?;
        commit(tx, what).await
    }
}

impl SqliteStore {
    async fn cancel_one(&self, tenant: TenantId, job: JobId) -> Result<Canceled> {
        let what = "canceling a job";
        let mut tx = self.write(what).await?;
        let mut changes = Changes::new(&mut tx, self.micros());
        let locked = changes.job_of(tenant, job).await?;
        if locked.state.is_terminal() {
            return Ok(Canceled::TooLate(locked.state));
        }
        let (event, outcome) = match locked.run {
            Some(of) if of.cancel_requested => {
                return Ok(Canceled::Requested);
            }
            Some(_) => {
                run(sql!("control/signal_job").bind(job.to_string()), changes.tx, what).await?;
                (Event::CancelRequested, Canceled::Requested)
            }
            None => (Event::Canceled, Canceled::Now),
        };
        changes.apply(vec![locked.change(event).map_err(adapter::illegal)?]).await?;
        changes.finish().await?;
        commit(tx, what).await?;
        Ok(outcome)
    }

    async fn retry_one(&self, tenant: TenantId, job: JobId) -> Result<Retried> {
        let what = "retrying a job";
        let mut tx = self.write(what).await?;
        let mut changes = Changes::new(&mut tx, self.micros());
        let locked = changes.job_of(tenant, job).await?;
        let batch = locked.batch;
        let (state, cancel_requested) = changes.batch_of(tenant, batch).await?;
        if !adapter::may_be_retried(locked.state) {
            return Ok(Retried::Refused(locked.state));
        }
        adapter::must_be_retriable(state, cancel_requested, batch)?;
        let waits = changes.waits([job]).await?;
        let retried = adapter::retried(vec![locked], &waits)?;
        let outcome = retried.first().map_or(JobState::Queued, |change| change.state);
        changes.reopen(batch, state).await?;
        changes.apply(retried).await?;
        changes.finish().await?;
        commit(tx, what).await?;
        Ok(Retried::Now(outcome))
    }

    /// Gives another run to some jobs that ended before the call began. Those that wait for others come after these, in a
    /// later part.
    async fn retry_part(&self, tenant: TenantId, batch: BatchId, began: Timestamp) -> Result<u64> {
        let what = "retrying a batch";
        let mut tx = self.write(what).await?;
        let mut changes = Changes::new(&mut tx, self.micros());
        let (state, cancel_requested) = changes.batch_of(tenant, batch).await?;
        adapter::must_be_retriable(state, cancel_requested, batch)?;
        let rows = sql!("control/ended_jobs")
            .bind(batch.to_string())
            .bind(began.micros())
            .bind(PART)
            .fetch_all(&mut **changes.tx)
            .await
            .map_err(failed(what))?;
        if rows.is_empty() {
            return Ok(0);
        }
        let mut locked = changes.lock(jobs_of(&rows, "id")?).await?;
        let waits = changes.waits(locked.iter().map(|job| job.job)).await?;
        locked.retain(|job| {
            adapter::may_be_retried(job.state) && waits.get(&job.job).is_none_or(|waits| !waits.doomed)
        });
        let retried = adapter::retried(locked, &waits)?;
        changes.reopen(batch, state).await?;
        changes.apply(retried).await?;
        changes.finish().await?;
        commit(tx, what).await?;
        Ok(u64::try_from(rows.len()).unwrap_or(u64::MAX))
    }

    async fn set_paused(&self, tenant: TenantId, batch: BatchId, paused: bool, now: bool) -> Result<()> {
        let what = "pausing or resuming a batch";
        let mut tx = self.write(what).await?;
        let mut changes = Changes::new(&mut tx, self.micros());
        changes.open_batch_of(tenant, batch).await?;
        let statement = sql!("control/set_paused").bind(batch.to_string()).bind(paused).bind(now);
        run(statement, changes.tx, what).await?;
        changes.log_batch(batch, if paused { "batch_paused" } else { "batch_resumed" }).await?;
        commit(tx, what).await
    }

    /// Cancels waiting jobs of one batch, or of all batches that were called off.
    pub(crate) async fn cancel_waiting(&self, batch: Option<BatchId>, limit: u32) -> Result<u64> {
        let what = "canceling waiting jobs";
        let mut tx = self.write(what).await?;
        let mut changes = Changes::new(&mut tx, self.micros());
        let statement = match batch {
            Some(batch) => sql!("control/to_cancel").bind(batch.to_string()).bind(limit),
            None => sql!("upkeep/to_cancel").bind(limit),
        };
        let rows = statement.fetch_all(&mut **changes.tx).await.map_err(failed(what))?;
        let found = jobs_of(&rows, "id")?;
        let count = found.len();
        let locked = changes.lock(found).await?;
        changes.apply(adapter::each(locked, |job| job.change(Event::Canceled))?).await?;
        changes.finish().await?;
        commit(tx, what).await?;
        Ok(u64::try_from(count).unwrap_or(u64::MAX))
    }
}

impl Changes<'_> {
    async fn job_of(&mut self, tenant: TenantId, job: JobId) -> Result<LockedJob> {
        let locked = self.lock([job]).await?.pop().filter(|locked| locked.tenant == tenant);
        locked.ok_or_else(|| not_found("job", job))
    }

    /// A batch's state and whether it was called off.
    pub(crate) async fn batch_of(&mut self, tenant: TenantId, batch: BatchId) -> Result<(BatchState, bool)> {
        let what = "reading a batch";
        let row = sql!("control/batch_of_tenant")
            .bind(batch.to_string())
            .bind(tenant.to_string())
            .fetch_optional(&mut **self.tx)
            .await
            .map_err(failed(what))?;
        let row = row.ok_or_else(|| not_found("batch", batch))?;
        let row = Fields(&row);
        let state = row.batch_state("state").map_err(failed(what))?;
        Ok((state, row.flag("cancel_requested").map_err(failed(what))?))
    }

    async fn open_batch_of(&mut self, tenant: TenantId, batch: BatchId) -> Result<()> {
        adapter::must_be_open(self.batch_of(tenant, batch).await?.0, batch)
    }

    /// A batch whose jobs run again is open again, and no longer called off.
    async fn reopen(&mut self, batch: BatchId, state: BatchState) -> Result<()> {
        if state == BatchState::Open {
            return Ok(());
        }
        run(sql!("control/reopen").bind(batch.to_string()), self.tx, "reopening a batch").await?;
        self.log_batch(batch, "batch_reopened").await
    }
}
