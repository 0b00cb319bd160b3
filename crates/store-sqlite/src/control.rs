//! What users and operators do.

use async_trait::async_trait;
use retouch_domain::{Band, BatchId, BatchState, Change, Event, JobId, JobState, LockedJob, TenantId};
use retouch_ports::store::{Canceled, Control, Retried, TenantLimits};
use retouch_ports::{PortError, PortErrorKind};

use crate::change::{Changes, conflict, illegal, jobs_of, not_found, run};
use crate::error::failed;
use crate::fields::Fields;
use crate::{PART, Result, SqliteStore, commit, sql};

const HAND_OVER: i64 = 1;
const CANCEL: i64 = 2;

#[async_trait]
impl Control for SqliteStore {
    async fn cancel_job(&self, tenant: TenantId, job: JobId) -> Result<Canceled> {
        let what = "canceling a job";
        let mut tx = self.write(what).await?;
        let mut changes = Changes::new(&mut tx, self.micros());
        let locked = changes.job_of(tenant, job).await?;
        if locked.state.is_terminal() {
            return Ok(Canceled::TooLate(locked.state));
        }
        let outcome = match locked.run {
            Some(of) if of.cancel_requested => return Ok(Canceled::Requested),
            Some(_) => {
                run(sql!("control/signal_job").bind(job.to_string()), changes.tx, what).await?;
                changes.log_cancel_requests(vec![locked]).await?;
                Canceled::Requested
            }
            None => {
                let change = locked.change(Event::Canceled).map_err(illegal)?;
                changes.apply(vec![change]).await?;
                Canceled::Now
            }
        };
        changes.finish().await?;
        commit(tx, what).await?;
        Ok(outcome)
    }

    async fn cancel_batch(&self, tenant: TenantId, batch: BatchId) -> Result<u64> {
        let what = "canceling a batch";
        let mut tx = self.write(what).await?;
        let mut changes = Changes::new(&mut tx, self.micros());
        changes.open_batch_of(tenant, batch).await?;
        run(sql!("control/request_cancel").bind(batch.to_string()), changes.tx, what).await?;
        changes.log_batch(batch, "batch_cancel_requested").await?;
        let signaled = changes.signal_batch(batch, CANCEL).await?;
        let told = signaled.len();
        let running = changes.lock(signaled).await?;
        changes.log_cancel_requests(running).await?;
        changes.finish().await?;
        commit(tx, what).await?;
        while self.cancel_waiting(Some(batch), PART).await? > 0 {}
        Ok(u64::try_from(told).unwrap_or(u64::MAX))
    }

    async fn retry_job(&self, tenant: TenantId, job: JobId) -> Result<Retried> {
        let what = "retrying a job";
        let mut tx = self.write(what).await?;
        let mut changes = Changes::new(&mut tx, self.micros());
        let locked = changes.job_of(tenant, job).await?;
        if !locked.state.is_terminal() || locked.state == JobState::Succeeded {
            return Ok(Retried::Refused(locked.state));
        }
        let batch = locked.batch;
        let retried = changes.retried(vec![locked]).await?;
        let state = retried.first().map_or(JobState::Queued, |change| change.state);
        changes.reopen(batch).await?;
        changes.apply(retried).await?;
        changes.finish().await?;
        commit(tx, what).await?;
        Ok(Retried::Now(state))
    }

    async fn retry_batch(&self, tenant: TenantId, batch: BatchId) -> Result<u64> {
        let what = "retrying a batch";
        let (mut count, mut after) = (0, String::new());
        loop {
            let mut tx = self.write(what).await?;
            let mut changes = Changes::new(&mut tx, self.micros());
            let state = changes.batch_of(tenant, batch).await?;
            if matches!(state, BatchState::Loading | BatchState::Failed) {
                return Err(conflict(format!(
                    "the batch {batch} is {}: nothing of it can be retried",
                    state.code()
                )));
            }
            let rows = sql!("control/ended_jobs")
                .bind(batch.to_string())
                .bind(&after)
                .bind(PART)
                .fetch_all(&mut **changes.tx)
                .await
                .map_err(failed(what))?;
            let jobs = jobs_of(&rows, "id")?;
            let Some(last) = jobs.last() else { return Ok(count) };
            after = last.to_string();
            count += u64::try_from(jobs.len()).unwrap_or(0);
            let locked = changes.lock(jobs).await?;
            let retried = changes.retried(locked).await?;
            changes.reopen(batch).await?;
            changes.apply(retried).await?;
            changes.finish().await?;
            commit(tx, what).await?;
        }
    }

    async fn pause(&self, tenant: TenantId, batch: BatchId, now: bool) -> Result<()> {
        let what = "pausing a batch";
        let mut tx = self.write(what).await?;
        let mut changes = Changes::new(&mut tx, self.micros());
        changes.open_batch_of(tenant, batch).await?;
        run(sql!("control/set_paused").bind(batch.to_string()).bind(1), changes.tx, what).await?;
        if now {
            changes.signal_batch(batch, HAND_OVER).await?;
        }
        changes.log_batch(batch, "batch_paused").await?;
        commit(tx, what).await
    }

    async fn resume(&self, tenant: TenantId, batch: BatchId) -> Result<()> {
        let what = "resuming a batch";
        let mut tx = self.write(what).await?;
        let mut changes = Changes::new(&mut tx, self.micros());
        changes.open_batch_of(tenant, batch).await?;
        run(sql!("control/set_paused").bind(batch.to_string()).bind(0), changes.tx, what).await?;
        run(sql!("control/unsignal_hand_over").bind(batch.to_string()), changes.tx, what).await?;
        changes.log_batch(batch, "batch_resumed").await?;
        commit(tx, what).await
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
        if limits.weight == 0 {
            let text = format!("the weight of tenant {tenant} is 0; it must be at least 1");
            return Err(PortError::new(PortErrorKind::Invalid, text));
        }
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
    /// Cancels waiting jobs of batches that were called off; of one batch or of all.
    pub(crate) async fn cancel_waiting(&self, batch: Option<BatchId>, limit: u32) -> Result<u64> {
        let what = "canceling waiting jobs";
        let mut tx = self.write(what).await?;
        let mut changes = Changes::new(&mut tx, self.micros());
        let rows = sql!("upkeep/to_cancel")
            .bind(limit)
            .bind(batch.map(|batch| batch.to_string()))
            .fetch_all(&mut **changes.tx)
            .await
            .map_err(failed(what))?;
        let locked = changes.lock(jobs_of(&rows, "id")?).await?;
        let count = locked.len();
        let canceled: std::result::Result<Vec<Change>, _> =
            locked.into_iter().map(|job| job.change(Event::Canceled)).collect();
        changes.apply(canceled.map_err(illegal)?).await?;
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

    async fn batch_of(&mut self, tenant: TenantId, batch: BatchId) -> Result<BatchState> {
        let row = sql!("control/batch_of_tenant")
            .bind(batch.to_string())
            .bind(tenant.to_string())
            .fetch_optional(&mut **self.tx)
            .await
            .map_err(failed("reading a batch"))?;
        let row = row.ok_or_else(|| not_found("batch", batch))?;
        Fields(&row).batch_state("state").map_err(failed("reading a batch"))
    }

    async fn open_batch_of(&mut self, tenant: TenantId, batch: BatchId) -> Result<()> {
        match self.batch_of(tenant, batch).await? {
            BatchState::Open => Ok(()),
            other => Err(conflict(format!("the batch {batch} is {}, not open", other.code()))),
        }
    }

    async fn signal_batch(&mut self, batch: BatchId, signal: i64) -> Result<Vec<JobId>> {
        let rows = sql!("control/signal_batch")
            .bind(batch.to_string())
            .bind(signal)
            .fetch_all(&mut **self.tx)
            .await
            .map_err(failed("telling workers"))?;
        jobs_of(&rows, "job")
    }

    async fn log_cancel_requests(&mut self, mut running: Vec<LockedJob>) -> Result<()> {
        running.retain(|job| job.run.is_some());
        let asked: std::result::Result<Vec<Change>, _> =
            running.into_iter().map(|job| job.change(Event::CancelRequested)).collect();
        self.apply(asked.map_err(illegal)?).await
    }

    async fn retried(&mut self, jobs: Vec<LockedJob>) -> Result<Vec<Change>> {
        let ids: Vec<JobId> = jobs.iter().map(|job| job.job).collect();
        let met = self.met(&ids).await?;
        let retried = |job: LockedJob| {
            let free = met.contains(&job.job);
            job.change(if free { Event::Retried } else { Event::RetriedBlocked }).map_err(illegal)
        };
        jobs.into_iter().map(retried).collect()
    }

    /// A batch whose jobs run again is open again, and no longer called off.
    async fn reopen(&mut self, batch: BatchId) -> Result<()> {
        let over = sql!("control/batch_is_over")
            .bind(batch.to_string())
            .fetch_optional(&mut **self.tx)
            .await
            .map_err(failed("reading a batch"))?;
        run(sql!("control/reopen").bind(batch.to_string()), self.tx, "reopening a batch").await?;
        if over.is_some() {
            self.log_batch(batch, "batch_reopened").await?;
        }
        Ok(())
    }
}
