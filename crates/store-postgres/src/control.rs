//! What users and operators do.

use async_trait::async_trait;
use retouch_domain::{Band, BatchId, BatchState, Change, Event, JobId, JobState, LockedJob, TenantId};
use retouch_ports::store::{Canceled, Control, Retried, TenantLimits};
use retouch_ports::{PortError, PortErrorKind};

use uuid::Uuid;

use crate::change::{Changes, conflict, illegal, jobs_of, not_found, run};
use crate::error::failed;
use crate::fields::Fields;
use crate::{PART, PostgresStore, Result, commit, release, sql};

const HAND_OVER: i16 = 1;
const CANCEL: i16 = 2;

#[async_trait]
impl Control for PostgresStore {
    async fn cancel_job(&self, tenant: TenantId, job: JobId) -> Result<Canceled> {
        let what = "canceling a job";
        let mut tx = self.write(what).await?;
        let mut changes = Changes::new(&mut tx);
        let locked = changes.job_of(tenant, job).await?;
        if locked.state.is_terminal() {
            release(tx, what).await?;
            return Ok(Canceled::TooLate(locked.state));
        }
        let outcome = match locked.run {
            Some(of) if of.cancel_requested => {
                release(tx, what).await?;
                return Ok(Canceled::Requested);
            }
            Some(_) => {
                run(sql!("control/signal_job").bind(job.uuid()), changes.tx, what).await?;
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
        let mut changes = Changes::new(&mut tx);
        changes.open_batch_of(tenant, batch).await?;
        run(sql!("control/request_cancel").bind(batch.uuid()), changes.tx, what).await?;
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
        let mut changes = Changes::new(&mut tx);
        let locked = changes.job_of(tenant, job).await?;
        if !locked.state.is_terminal() || locked.state == JobState::Succeeded {
            release(tx, what).await?;
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
        let (mut count, mut after) = (0, Uuid::nil());
        loop {
            let mut tx = self.write(what).await?;
            let mut changes = Changes::new(&mut tx);
            let state = changes.batch_of(tenant, batch).await?;
            if matches!(state, BatchState::Loading | BatchState::Failed) {
                return Err(conflict(format!(
                    "the batch {batch} is {}: nothing of it can be retried",
                    state.code()
                )));
            }
            let rows = sql!("control/ended_jobs")
                .bind(batch.uuid())
                .bind(after)
                .bind(i64::from(PART))
                .fetch_all(&mut **changes.tx)
                .await
                .map_err(failed(what))?;
            let jobs = jobs_of(&rows, "id")?;
            let Some(last) = jobs.last() else {
                release(tx, what).await?;
                return Ok(count);
            };
            after = last.uuid();
            count += u64::try_from(jobs.len()).unwrap_or(0);
            let mut locked = changes.lock(jobs).await?;
            locked.retain(|job| job.state.is_terminal() && job.state != JobState::Succeeded);
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
        let mut changes = Changes::new(&mut tx);
        changes.open_batch_of(tenant, batch).await?;
        run(sql!("control/set_paused").bind(batch.uuid()).bind(true), changes.tx, what).await?;
        if now {
            changes.signal_batch(batch, HAND_OVER).await?;
        }
        changes.log_batch(batch, "batch_paused").await?;
        commit(tx, what).await
    }

    async fn resume(&self, tenant: TenantId, batch: BatchId) -> Result<()> {
        let what = "resuming a batch";
        let mut tx = self.write(what).await?;
        let mut changes = Changes::new(&mut tx);
        changes.open_batch_of(tenant, batch).await?;
        run(sql!("control/set_paused").bind(batch.uuid()).bind(false), changes.tx, what).await?;
        run(sql!("control/unsignal_hand_over").bind(batch.uuid()), changes.tx, what).await?;
        changes.log_batch(batch, "batch_resumed").await?;
        commit(tx, what).await
    }

    async fn move_to_band(&self, tenant: TenantId, batch: BatchId, band: Band) -> Result<()> {
        let what = "moving a batch to another band";
        let mut tx = self.write(what).await?;
        let mut changes = Changes::new(&mut tx);
        changes.open_batch_of(tenant, batch).await?;
        run(sql!("control/set_band").bind(batch.uuid()).bind(band.code()), changes.tx, what).await?;
        run(sql!("control/unmark_batch").bind(batch.uuid()), changes.tx, what).await?;
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
            .bind(tenant.uuid())
            .bind(i64::from(limits.weight))
            .bind(limits.max_running.map(i64::from));
        run(statement, &mut tx, what).await?;
        commit(tx, what).await
    }
}

impl PostgresStore {
    /// Cancels waiting jobs of batches that were called off; of one batch or of all.
    pub(crate) async fn cancel_waiting(&self, batch: Option<BatchId>, limit: u32) -> Result<u64> {
        let what = "canceling waiting jobs";
        let mut tx = self.write(what).await?;
        let mut changes = Changes::new(&mut tx);
        let rows = sql!("upkeep/to_cancel")
            .bind(i64::from(limit))
            .bind(batch.map(BatchId::uuid))
            .fetch_all(&mut **changes.tx)
            .await
            .map_err(failed(what))?;
        let found = jobs_of(&rows, "id")?;
        let count = found.len();
        let mut locked = changes.lock(found).await?;
        // What began to run in the meantime is for its worker to end.
        locked.retain(|job| job.state.is_waiting());
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
            .bind(batch.uuid())
            .bind(tenant.uuid())
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

    async fn signal_batch(&mut self, batch: BatchId, signal: i16) -> Result<Vec<JobId>> {
        let rows = sql!("control/signal_batch")
            .bind(batch.uuid())
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
        run(sql!("control/lock_batch").bind(batch.uuid()), self.tx, "locking a batch").await?;
        let over = sql!("control/batch_is_over")
            .bind(batch.uuid())
            .fetch_optional(&mut **self.tx)
            .await
            .map_err(failed("reading a batch"))?;
        run(sql!("control/reopen").bind(batch.uuid()), self.tx, "reopening a batch").await?;
        if over.is_some() {
            self.log_batch(batch, "batch_reopened").await?;
        }
        Ok(())
    }
}
