//! Storing the rows of jobs, with a verdict on each.

use std::collections::{HashMap, HashSet};

use retouch_domain::spec::MAX_ROWS;
use retouch_domain::{BatchId, Dependency, NewJob, TenantId};
use retouch_ports::store::Verdict;
use retouch_ports::store::adapter::{self, Intake, Known, Wanted};
use retouch_ports::{PortError, PortErrorKind};
use serde_json::{Value, json};
use sqlx::sqlite::SqliteRow;

use crate::change::{Changes, jobs_of, run};
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
        if jobs.len() > MAX_ROWS {
            let text = format!(
                "{} jobs in one call; at most {MAX_ROWS} are accepted: send them in parts",
                jobs.len()
            );
            return Err(PortError::new(PortErrorKind::Invalid, text));
        }
        let mut known = self.known(tenant, &Wanted::of(jobs)).await?;
        // A batch is not over before all of its jobs are: none of them can wait for it.
        known.batches.remove(&batch);
        let mut intake = Intake::judge(jobs, known);
        let rows = sql!("submission/insert_jobs")
            .bind(adapter::jobs(&intake.accepted).to_string())
            .bind(batch.to_string())
            .bind(tenant.to_string())
            .bind(self.now)
            .fetch_all(&mut **self.tx)
            .await
            .map_err(failed("storing jobs"))?;
        // Keys cannot have changed since they were looked up: there is one writer.
        intake.keep_only(&HashSet::from_iter(jobs_of(&rows, "id")?), &HashMap::new());
        let waits: Vec<Value> = intake
            .accepted
            .iter()
            .flat_map(|row| row.unmet.iter().map(|on| dependency(row.job, *on)))
            .collect();
        if !waits.is_empty() {
            let rows = Value::Array(waits).to_string();
            run(sql!("submission/insert_dependencies").bind(rows), self.tx, "storing dependencies").await?;
        }
        Ok(intake)
    }

    async fn known(&mut self, tenant: TenantId, wanted: &Wanted) -> Result<Known> {
        let what = "looking up keys and dependencies";
        let mut known = Known::default();
        for row in &self.look_up(sql!("submission/known_keys"), tenant, json!(wanted.keys)).await? {
            let row = Fields(row);
            known.keys.insert(row.get("key").map_err(failed(what))?, row.id("id").map_err(failed(what))?);
        }
        for row in &self.look_up(sql!("submission/known_jobs"), tenant, adapter::ids(&wanted.jobs)).await? {
            let row = Fields(row);
            known.jobs.insert(row.id("id").map_err(failed(what))?, row.state("state").map_err(failed(what))?);
        }
        let batches = adapter::ids(&wanted.batches);
        for row in &self.look_up(sql!("submission/known_batches"), tenant, batches).await? {
            let row = Fields(row);
            let state = row.batch_state("state").map_err(failed(what))?;
            known.batches.insert(row.id("id").map_err(failed(what))?, state);
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
            .map_err(failed("looking up keys and dependencies"))
    }
}

fn dependency(job: &NewJob, on: Dependency) -> Value {
    let job = job.id.to_string();
    match on {
        Dependency::Job(on) => json!({"job": job, "on_job": on.to_string()}),
        Dependency::Batch(on) => json!({"job": job, "on_batch": on.to_string()}),
    }
}

/// The error for a call none of whose rows may be invalid.
pub(crate) fn refuse_invalid(verdicts: &[Verdict]) -> Result<()> {
    let invalid = verdicts.iter().enumerate().find_map(|(index, verdict)| match verdict {
        Verdict::Invalid(error) => Some((index, error)),
        _ => None,
    });
    match invalid {
        None => Ok(()),
        Some((index, error)) => {
            let text = format!("child {index} of a result cannot be accepted");
            Err(PortError::new(PortErrorKind::Invalid, text).with_source(error.clone()))
        }
    }
}
