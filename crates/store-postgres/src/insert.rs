//! Storing the rows of jobs, with a verdict on each.

use std::collections::HashSet;

use retouch_domain::{BatchId, JobId, NewJob, TenantId};
use retouch_ports::store::adapter::{self, Intake, Known, Wanted};
use serde_json::Value;
use uuid::Uuid;

use crate::change::{Changes, jobs_of, run, uuids};
use crate::error::failed;
use crate::fields::Fields;
use crate::{Result, sql};

impl Changes<'_> {
    /// Stores jobs of a batch; their number is not counted yet.
    pub(crate) async fn insert_jobs<'a>(
        &mut self,
        tenant: TenantId,
        batch: BatchId,
        jobs: &'a [NewJob],
    ) -> Result<Intake<'a>> {
        let what = "storing jobs";
        adapter::rows_fit(jobs)?;
        let wanted = Wanted::of(jobs);
        let mut in_use = HashSet::new();
        loop {
            let mut known = self.known(tenant, batch, &wanted).await?;
            // A batch is not over before all of its jobs are: none of them can wait for it.
            known.batches.remove(&batch);
            known.in_use.clone_from(&in_use);
            let intake = Intake::judge(jobs, known);
            let rows = sql!("submission/insert_jobs")
                .bind(adapter::jobs(&intake.accepted).to_string())
                .bind(batch.uuid())
                .bind(tenant.uuid())
                .fetch_all(&mut **self.tx)
                .await
                .map_err(failed(what))?;
            let stored = HashSet::from_iter(jobs_of(&rows, "id")?);
            let missing = intake.missing(&stored);
            if missing.is_empty() {
                self.insert_dependencies(&intake).await?;
                return Ok(intake);
            }
            // Somebody stored the same key since it was looked up, or an id is in use.
            run(sql!("change/delete_jobs").bind(uuids(stored)), self.tx, what).await?;
            in_use.extend(self.ids_in_use(missing).await?);
        }
    }

    async fn insert_dependencies(&mut self, intake: &Intake<'_>) -> Result<()> {
        let waits = adapter::dependencies(&intake.accepted);
        if !waits.is_empty() {
            let rows = Value::Array(waits).to_string();
            run(sql!("submission/insert_dependencies").bind(rows), self.tx, "storing dependencies").await?;
        }
        Ok(())
    }

    async fn ids_in_use(&mut self, ids: Vec<JobId>) -> Result<Vec<JobId>> {
        let statement = sql!("submission/ids_in_use").bind(uuids(ids));
        let rows = statement.fetch_all(&mut **self.tx).await.map_err(failed("looking up ids"))?;
        jobs_of(&rows, "id")
    }

    async fn known(&mut self, tenant: TenantId, batch: BatchId, wanted: &Wanted) -> Result<Known> {
        let what = "looking up keys and dependencies";
        let mut known = Known::default();
        if !wanted.keys.is_empty() {
            let statement =
                sql!("submission/known_keys").bind(tenant.uuid()).bind(&wanted.keys).bind(batch.uuid());
            for row in &statement.fetch_all(&mut **self.tx).await.map_err(failed(what))? {
                let row = Fields(row);
                let id = row.id("id").map_err(failed(what))?;
                known.keys.insert(row.get("key").map_err(failed(what))?, id);
                if row.flag("loading").map_err(failed(what))? {
                    known.loading.insert(id);
                }
            }
        }
        if !wanted.jobs.is_empty() {
            let jobs = uuids(wanted.jobs.iter().copied());
            let statement = sql!("submission/known_jobs").bind(tenant.uuid()).bind(jobs);
            for row in &statement.fetch_all(&mut **self.tx).await.map_err(failed(what))? {
                let row = Fields(row);
                let state = row.state("state").map_err(failed(what))?;
                known.jobs.insert(row.id("id").map_err(failed(what))?, state);
            }
        }
        if !wanted.batches.is_empty() {
            let batches: Vec<Uuid> = wanted.batches.iter().map(|batch| batch.uuid()).collect();
            let statement = sql!("submission/known_batches").bind(tenant.uuid()).bind(batches);
            for row in &statement.fetch_all(&mut **self.tx).await.map_err(failed(what))? {
                let row = Fields(row);
                let state = row.batch_state("state").map_err(failed(what))?;
                known.batches.insert(row.id("id").map_err(failed(what))?, state);
            }
        }
        Ok(known)
    }
}
