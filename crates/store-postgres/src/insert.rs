//! Storing the rows of jobs, with a verdict on each.

use std::collections::HashSet;

use retouch_domain::spec::MAX_ROWS;
use retouch_domain::{BatchId, Dependency, NewJob, TenantId};
use retouch_ports::store::Verdict;
use retouch_ports::store::adapter::{self, Intake, Known, Wanted};
use retouch_ports::{PortError, PortErrorKind};
use serde_json::{Value, json};
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
            .bind(batch.uuid())
            .bind(tenant.uuid())
            .fetch_all(&mut **self.tx)
            .await
            .map_err(failed("storing jobs"))?;
        let stored = HashSet::from_iter(jobs_of(&rows, "id")?);
        if stored.len() < intake.accepted.len() {
            // Somebody stored the same key since it was looked up, or the id is in use.
            let again =
                self.known(tenant, &Wanted { keys: Wanted::of(jobs).keys, ..Wanted::default() }).await?;
            intake.keep_only(&stored, &again.keys);
        }
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
        if !wanted.keys.is_empty() {
            let statement = sql!("submission/known_keys").bind(tenant.uuid()).bind(&wanted.keys);
            for row in &statement.fetch_all(&mut **self.tx).await.map_err(failed(what))? {
                let row = Fields(row);
                known.keys.insert(row.get("key").map_err(failed(what))?, row.id("id").map_err(failed(what))?);
            }
        }
        if !wanted.jobs.is_empty() {
            let jobs = uuids(wanted.jobs.iter().copied());
            let statement = sql!("submission/known_jobs").bind(tenant.uuid()).bind(jobs);
            for row in &statement.fetch_all(&mut **self.tx).await.map_err(failed(what))? {
                let row = Fields(row);
                known
                    .jobs
                    .insert(row.id("id").map_err(failed(what))?, row.state("state").map_err(failed(what))?);
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
