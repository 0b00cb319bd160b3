//! Submissions in parts: nothing is dispatched or counted before the batch opens.

use std::time::Duration;

use retouch_domain::{BatchId, BatchState, NewBatch, TenantId};
use retouch_ports::store::adapter::{must_follow, must_load, not_found, told_given_up, totals};
use retouch_ports::store::{Idempotency, LoadPart, Loading, Opened, Verdict, VerdictTotals};
use sqlx::sqlite::SqliteRow;

use crate::change::{Changes, run};
use crate::error::failed;
use crate::fields::Fields;
use crate::{Result, SqliteStore, commit, sql};

impl SqliteStore {
    pub(crate) async fn begin_loading_batch(&self, batch: &NewBatch) -> Result<Loading> {
        let what = "beginning a bulk submission";
        let mut tx = self.write(what).await?;
        let mut changes = Changes::new(&mut tx, self.micros());
        if let Some((loading, state)) = changes.loading(batch.tenant, batch.id).await? {
            must_load(state, batch.id)?;
            return Ok(loading);
        }
        changes.insert_batch(batch, BatchState::Loading).await?;
        commit(tx, what).await?;
        let totals = VerdictTotals::default();
        Ok(Loading { batch: batch.id, tenant: batch.tenant, offset: 0, totals, meta: batch.meta.clone() })
    }

    pub(crate) async fn load_part(
        &self,
        tenant: TenantId,
        batch: BatchId,
        part: LoadPart<'_>,
    ) -> Result<Vec<Verdict>> {
        let what = "storing a part of a bulk submission";
        let mut tx = self.write(what).await?;
        let mut changes = Changes::new(&mut tx, self.micros());
        let (loading, state) =
            changes.loading(tenant, batch).await?.ok_or_else(|| not_found("batch", batch))?;
        must_load(state, batch)?;
        must_follow(&loading, &part)?;
        let intake = changes.insert_jobs(tenant, batch, part.jobs).await?;
        let mut totals = totals(&intake.verdicts);
        totals.invalid += part.unreadable;
        changes.add_totals(batch, &totals, part.to).await?;
        changes.finish().await?;
        commit(tx, what).await?;
        Ok(intake.verdicts)
    }

    pub(crate) async fn open_batch(
        &self,
        tenant: TenantId,
        batch: BatchId,
        once: Option<&Idempotency>,
    ) -> Result<Opened> {
        let what = "opening a batch";
        let mut tx = self.write(what).await?;
        let mut changes = Changes::new(&mut tx, self.micros());
        if let Some(answer) = changes.replay(tenant, once).await? {
            return Ok(Opened::Replayed(answer));
        }
        let (loading, state) =
            changes.loading(tenant, batch).await?.ok_or_else(|| not_found("batch", batch))?;
        must_load(state, batch)?;
        run(sql!("submission/open_batch").bind(batch.to_string()), changes.tx, what).await?;
        changes.opened(batch, i64::try_from(loading.totals.new).unwrap_or(i64::MAX)).await?;
        changes.keep_answer(tenant, once).await?;
        changes.finish().await?;
        commit(tx, what).await?;
        Ok(Opened::Now(loading.totals))
    }

    pub(crate) async fn loadings_idle_for(&self, idle: Duration) -> Result<Vec<Loading>> {
        let what = "looking for stale bulk submissions";
        let rows = sql!("submission/stale_loadings")
            .bind(self.micros_ago(idle))
            .fetch_all(&self.readers)
            .await
            .map_err(failed(what))?;
        rows.iter()
            .map(|row| loading(row).map(|(loading, _)| loading))
            .collect::<std::result::Result<_, _>>()
            .map_err(failed(what))
    }

    pub(crate) async fn abandon_batch(&self, tenant: TenantId, batch: BatchId) -> Result<()> {
        while self.abandon_part(tenant, batch).await? {}
        Ok(())
    }

    /// Gives up a loading batch and deletes some of its rows; false if there are no more.
    async fn abandon_part(&self, tenant: TenantId, batch: BatchId) -> Result<bool> {
        let what = "giving up a bulk submission";
        let mut tx = self.write(what).await?;
        let mut changes = Changes::new(&mut tx, self.micros());
        let (_, state) = changes.loading(tenant, batch).await?.ok_or_else(|| not_found("batch", batch))?;
        if state != BatchState::Failed {
            must_load(state, batch)?;
            // From here on nothing is loaded any more; a crash leaves rows that the next call deletes.
            changes.fail_batch(batch).await?;
            changes.log_batch(batch, "batch_over").await?;
            changes.tell(told_given_up(tenant, batch)).await?;
            changes.apply_batches_over(&[batch]).await?;
        }
        let more = changes.delete_jobs(batch).await?;
        changes.finish().await?;
        commit(tx, what).await?;
        Ok(more)
    }
}

impl Changes<'_> {
    async fn loading(&mut self, tenant: TenantId, batch: BatchId) -> Result<Option<(Loading, BatchState)>> {
        let row = sql!("submission/loading")
            .bind(batch.to_string())
            .bind(tenant.to_string())
            .fetch_optional(&mut **self.tx)
            .await
            .map_err(failed("reading a batch"))?;
        row.as_ref().map(loading).transpose().map_err(failed("reading a batch"))
    }
}

fn loading(row: &SqliteRow) -> std::result::Result<(Loading, BatchState), sqlx::Error> {
    let row = Fields(row);
    let loading = Loading {
        batch: row.id("id")?,
        tenant: row.id("tenant")?,
        offset: row.count("load_offset")?,
        totals: VerdictTotals {
            new: row.count("rows_new")?,
            duplicate: row.count("rows_duplicate")?,
            invalid: row.count("rows_invalid")?,
        },
        meta: row.json("meta")?,
    };
    Ok((loading, row.batch_state("state")?))
}
