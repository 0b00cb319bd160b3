//! Submissions in one transaction; [`crate::loading`] has those in parts.

use std::time::Duration;

use async_trait::async_trait;
use retouch_domain::{BatchId, BatchState, NewBatch, NewJob, TenantId};
use retouch_ports::store::adapter::{self, totals};
use retouch_ports::store::{
    Idempotency, LoadPart, Loading, Opened, Submission, Submitted, Verdict, VerdictTotals,
};

use crate::change::{Changes, run};
use crate::error::failed;
use crate::fields::Fields;
use crate::{Result, SqliteStore, commit, sql};

#[async_trait]
impl Submission for SqliteStore {
    async fn submit(
        &self,
        batch: &NewBatch,
        jobs: &[NewJob],
        once: Option<&Idempotency>,
    ) -> Result<Submitted> {
        let what = "storing a submission";
        let mut tx = self.write(what).await?;
        let mut changes = Changes::new(&mut tx, self.micros());
        if let Some(answer) = changes.replay(batch.tenant, once).await? {
            return Ok(Submitted::Replayed(answer));
        }
        changes.insert_batch(batch, BatchState::Open).await?;
        let intake = changes.insert_jobs(batch.tenant, batch.id, jobs).await?;
        changes.add_totals(batch.id, &totals(&intake.verdicts), 0).await?;
        changes.opened(batch.id, intake.counts().total).await?;
        changes.keep_answer(batch.tenant, once).await?;
        changes.finish().await?;
        commit(tx, what).await?;
        Ok(Submitted::New(intake.verdicts))
    }

    async fn begin_loading(&self, batch: &NewBatch) -> Result<Loading> {
        self.begin_loading_batch(batch).await
    }

    async fn load(&self, tenant: TenantId, batch: BatchId, part: LoadPart<'_>) -> Result<Vec<Verdict>> {
        self.load_part(tenant, batch, part).await
    }

    async fn open(&self, tenant: TenantId, batch: BatchId, once: Option<&Idempotency>) -> Result<Opened> {
        self.open_batch(tenant, batch, once).await
    }

    async fn stale_loadings(&self, idle: Duration) -> Result<Vec<Loading>> {
        self.loadings_idle_for(idle).await
    }

    async fn abandon(&self, tenant: TenantId, batch: BatchId) -> Result<()> {
        self.abandon_batch(tenant, batch).await
    }

    async fn answer(&self, tenant: TenantId, key: &str) -> Result<Option<Idempotency>> {
        let what = "reading an answer";
        let row = sql!("submission/answer")
            .bind(tenant.to_string())
            .bind(key)
            .fetch_optional(&self.readers)
            .await
            .map_err(failed(what))?;
        row.as_ref().map(answer).transpose().map_err(failed(what))
    }
}

impl Changes<'_> {
    /// The answer given earlier under the same key.
    pub(crate) async fn replay(
        &mut self,
        tenant: TenantId,
        once: Option<&Idempotency>,
    ) -> Result<Option<String>> {
        let Some(once) = once else { return Ok(None) };
        let row = sql!("submission/answer")
            .bind(tenant.to_string())
            .bind(&once.key)
            .fetch_optional(&mut **self.tx)
            .await
            .map_err(failed("reading an answer"))?;
        let Some(row) = row else { return Ok(None) };
        let given = answer(&row).map_err(failed("reading an answer"))?;
        adapter::replayed(given, once).map(Some)
    }

    pub(crate) async fn keep_answer(&mut self, tenant: TenantId, once: Option<&Idempotency>) -> Result<()> {
        let Some(once) = once else { return Ok(()) };
        let statement = sql!("submission/insert_answer")
            .bind(tenant.to_string())
            .bind(&once.key)
            .bind(&once.fingerprint)
            .bind(&once.answer)
            .bind(self.now);
        run(statement, self.tx, "storing an answer").await?;
        Ok(())
    }

    pub(crate) async fn insert_batch(&mut self, batch: &NewBatch, state: BatchState) -> Result<()> {
        adapter::batch_is_valid(batch)?;
        let known = sql!("submission/batch_exists")
            .bind(batch.id.to_string())
            .fetch_optional(&mut **self.tx)
            .await
            .map_err(failed("storing a batch"))?;
        adapter::must_be_new(known.is_some(), batch.id)?;
        let statement = sql!("submission/insert_batch")
            .bind(batch.id.to_string())
            .bind(batch.tenant.to_string())
            .bind(batch.band.code())
            .bind(&batch.label)
            .bind(batch.meta.to_string())
            .bind(state.code())
            .bind(self.now);
        run(statement, self.tx, "storing a batch").await?;
        Ok(())
    }

    pub(crate) async fn add_totals(
        &mut self,
        batch: BatchId,
        totals: &VerdictTotals,
        offset: u64,
    ) -> Result<()> {
        let statement = sql!("submission/add_totals")
            .bind(batch.to_string())
            .bind(adapter::as_i64(totals.new))
            .bind(adapter::as_i64(totals.duplicate))
            .bind(adapter::as_i64(totals.invalid))
            .bind(adapter::as_i64(offset))
            .bind(self.now);
        run(statement, self.tx, "counting verdicts").await?;
        Ok(())
    }

    /// Counts the jobs of a batch that opens. Also 0 of them are a change: folding it ends the batch.
    pub(crate) async fn opened(&mut self, batch: BatchId, jobs: i64) -> Result<()> {
        self.count_always(batch, retouch_domain::Counts::accepted(jobs)).await?;
        self.log_batch(batch, "batch_opened").await
    }
}

fn answer(row: &sqlx::sqlite::SqliteRow) -> std::result::Result<Idempotency, sqlx::Error> {
    let row = Fields(row);
    Ok(Idempotency { key: row.get("key")?, fingerprint: row.get("fingerprint")?, answer: row.get("answer")? })
}
