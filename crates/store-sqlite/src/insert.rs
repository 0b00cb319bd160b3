//! Storing the rows of jobs, with a verdict on each.

use std::collections::HashSet;

use retouch_domain::{BatchId, JobId, NewJob, TenantId};
use retouch_ports::store::adapter::{self, Intake, Known, Wanted};
use serde_json::{Value, json};
use sqlx::sqlite::SqliteRow;

use crate::change::{Changes, jobs_of, run};
use crate::error::failed;
use crate::fields::Fields;
use crate::{Result, sql};

const LOOKING_UP: &str = "looking up keys and dependencies";

impl Changes<'_> {
    /// Stores jobs of a batch; their number is not counted yet.
    pub(crate) async fn insert_jobs<'a>(
        &mut self,
        tenant: TenantId,
        batch: BatchId,
        jobs: &'a [NewJob],
    ) -> Result<Intake<'a>> {
        adapter::rows_fit(jobs)?;
        let wanted = Wanted::of(jobs);
        let mut known = self.known(tenant, batch, &wanted).await?;
        // A batch is not over before all of its jobs are: none of them can wait for it.
        known.batches.remove(&batch);
        // There is one writer: what is looked up now still holds when the rows are stored.
        known.in_use = self.ids_in_use(jobs.iter().map(|job| job.id)).await?;
        let intake = Intake::judge(jobs, known);
        let statement = sql!("submission/insert_jobs")
            .bind(adapter::jobs(&intake.accepted).to_string())
            .bind(batch.to_string())
            .bind(tenant.to_string())
            .bind(self.now);
        run(statement, self.tx, "storing jobs").await?;
        let waits = adapter::dependencies(&intake.accepted);
        if !waits.is_empty() {
            let rows = Value::Array(waits).to_string();
            run(sql!("submission/insert_dependencies").bind(rows), self.tx, "storing dependencies").await?;
        }
        Ok(intake)
    }

    async fn ids_in_use(&mut self, ids: impl Iterator<Item = JobId>) -> Result<HashSet<JobId>> {
        let statement = sql!("submission/ids_in_use").bind(adapter::ids(ids).to_string());
        let rows = statement.fetch_all(&mut **self.tx).await.map_err(failed("looking up ids"))?;
        Ok(HashSet::from_iter(jobs_of(&rows, "id")?))
    }

    async fn known(&mut self, tenant: TenantId, batch: BatchId, wanted: &Wanted) -> Result<Known> {
        let mut known = Known::default();
        if !wanted.keys.is_empty() {
            let statement = sql!("submission/known_keys")
                .bind(tenant.to_string())
                .bind(json!(wanted.keys).to_string())
                .bind(batch.to_string());
            for row in &statement.fetch_all(&mut **self.tx).await.map_err(failed(LOOKING_UP))? {
                let row = Fields(row);
                let id = row.id("id").map_err(failed(LOOKING_UP))?;
                known.keys.insert(row.get("key").map_err(failed(LOOKING_UP))?, id);
                if row.flag("loading").map_err(failed(LOOKING_UP))? {
                    known.loading.insert(id);
                }
            }
        }
        for row in &self.look_up(sql!("submission/known_jobs"), tenant, adapter::ids(&wanted.jobs)).await? {
            let row = Fields(row);
            let state = row.state("state").map_err(failed(LOOKING_UP))?;
            known.jobs.insert(row.id("id").map_err(failed(LOOKING_UP))?, state);
        }
        let batches = adapter::ids(&wanted.batches);
        for row in &self.look_up(sql!("submission/known_batches"), tenant, batches).await? {
            let row = Fields(row);
            let state = row.batch_state("state").map_err(failed(LOOKING_UP))?;
            known.batches.insert(row.id("id").map_err(failed(LOOKING_UP))?, state);
        }
        Ok(known)
    }

    async fn look_up(
        &mut self,
        statement: sqlx::query::Query<'_, sqlx::Sqlite, sqlx::sqlite::SqliteArguments>,
        tenant: TenantId,
        wanted: Value,
    ) -> Result<Vec<SqliteRow>> {
        if wanted.as_array().is_some_and(Vec::is_empty) {
            return Ok(Vec::new());
        }
        statement
            .bind(tenant.to_string())
            .bind(wanted.to_string())
            .fetch_all(&mut **self.tx)
            .await
            .map_err(failed(LOOKING_UP))
    }
}
