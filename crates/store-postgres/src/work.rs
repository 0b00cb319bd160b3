//! What workers write about their runs.

use std::collections::HashMap;

use async_trait::async_trait;
use retouch_domain::spec::{MAX_EXPORT_BYTES, check_json};
use retouch_domain::{Change, Cost, Event, Illegal, JobState, LockedJob, Loss, WorkerBootId};
use retouch_ports::store::adapter;
use retouch_ports::store::{
    Beat, Claim, Completion, Ended, Failure, Fence, HandOver, LeaseTerms, Signal, TakeOver, Ticket, Work,
};
use retouch_ports::{PortError, PortErrorKind};

use crate::change::{Changes, illegal, micros, run};
use crate::error::failed;
use crate::fields::Fields;
use crate::insert::refuse_invalid;
use crate::{PostgresStore, Result, commit, sql};

#[async_trait]
impl Work for PostgresStore {
    async fn claim(&self, terms: &LeaseTerms, tickets: &[Ticket]) -> Result<Vec<Claim>> {
        self.claim_tickets(terms, tickets).await
    }

    async fn take_over(
        &self,
        terms: &LeaseTerms,
        ticket: &Ticket,
        holder_dead: Option<WorkerBootId>,
        random: f64,
    ) -> Result<TakeOver> {
        self.take_over_run(terms, ticket, holder_dead, random).await
    }

    async fn renew(&self, terms: &LeaseTerms, beats: &[Beat]) -> Result<Vec<Signal>> {
        let what = "renewing leases";
        let rows = sql!("work/renew")
            .bind(adapter::beats(beats).to_string())
            .bind(terms.boot.uuid())
            .bind(micros(terms.length))
            .fetch_all(&self.pool)
            .await
            .map_err(failed(what))?;
        let mut signals = HashMap::new();
        for row in &rows {
            let (fence, signal) = signal(&Fields(row)).map_err(failed(what))?;
            signals.insert(fence, signal);
        }
        Ok(beats.iter().map(|beat| signals.get(&beat.fence).copied().unwrap_or(Signal::Lost)).collect())
    }

    async fn commit(&self, completions: &[Completion]) -> Result<Vec<Ended>> {
        let what = "committing results";
        for completion in completions {
            check_json("output", &completion.output).map_err(|error| {
                let text = format!("the output of job {} cannot be stored", completion.fence.job);
                PortError::new(PortErrorKind::Invalid, text).with_source(error)
            })?;
        }
        let mut tx = self.write(what).await?;
        let mut changes = Changes::new(&mut tx);
        let fences: Vec<Fence> = completions.iter().map(|completion| completion.fence).collect();
        let mut runs = changes.runs(&fences).await?;
        let mut done = Vec::new();
        let mut ended = Vec::new();
        for completion in completions {
            let Some(job) = runs.remove(&completion.fence) else {
                ended.push(Ended::Stale);
                continue;
            };
            let (tenant, batch) = (job.tenant, job.batch);
            done.push(job.committed(completion.output.clone(), completion.cost).map_err(illegal)?);
            ended.push(Ended::Now(JobState::Succeeded));
            if !completion.children.is_empty() {
                let intake = changes.insert_jobs(tenant, batch, &completion.children).await?;
                refuse_invalid(&intake.verdicts)?;
                changes.count(batch, intake.counts());
            }
        }
        changes.apply(done).await?;
        changes.finish().await?;
        commit(tx, what).await?;
        Ok(ended)
    }

    async fn fail(&self, failures: &[Failure], random: f64) -> Result<Vec<Ended>> {
        let fences: Vec<Fence> = failures.iter().map(|failure| failure.fence).collect();
        self.end("failing runs", &fences, &[], |index, job| {
            let Failure { loss, error, cost, .. } = &failures[index];
            job.lost(*loss, Some(error.clone()), *cost, random)
        })
        .await
    }

    async fn hand_over(&self, hand_overs: &[HandOver]) -> Result<Vec<Ended>> {
        for hand_over in hand_overs {
            let bytes = hand_over.export.as_ref().map_or(0, Vec::len);
            if bytes > MAX_EXPORT_BYTES {
                let job = hand_over.fence.job;
                let text =
                    format!("the state of job {job} has {bytes} bytes; at most {MAX_EXPORT_BYTES} are kept");
                return Err(PortError::new(PortErrorKind::Invalid, text));
            }
        }
        let fences: Vec<Fence> = hand_overs.iter().map(|hand_over| hand_over.fence).collect();
        let exports: Vec<Option<&[u8]>> = hand_overs.iter().map(|run| run.export.as_deref()).collect();
        self.end("handing runs over", &fences, &exports, |index, job| {
            job.lost(Loss::HandedOver, None, hand_overs[index].cost, 0.0)
        })
        .await
    }

    async fn release_canceled(&self, runs: &[(Fence, Cost)]) -> Result<Vec<Ended>> {
        let fences: Vec<Fence> = runs.iter().map(|(fence, _)| *fence).collect();
        self.end("ending canceled runs", &fences, &[], |index, job| {
            let mut change = job.change(Event::Canceled)?;
            if let Some(attempt) = &mut change.attempt {
                attempt.cost = runs[index].1;
            }
            Ok(change)
        })
        .await
    }
}

impl PostgresStore {
    /// Ends those of the runs that are still their workers'; `exports` are kept for jobs that go on.
    async fn end(
        &self,
        what: &'static str,
        fences: &[Fence],
        exports: &[Option<&[u8]>],
        mut rule: impl FnMut(usize, LockedJob) -> std::result::Result<Change, Illegal> + Send,
    ) -> Result<Vec<Ended>> {
        let mut tx = self.write(what).await?;
        let mut changes = Changes::new(&mut tx);
        let mut runs = changes.runs(fences).await?;
        let mut ended = Vec::with_capacity(fences.len());
        let mut ends = Vec::new();
        for (index, fence) in fences.iter().enumerate() {
            let Some(job) = runs.remove(fence) else {
                ended.push(Ended::Stale);
                continue;
            };
            let change = rule(index, job).map_err(illegal)?;
            ended.push(Ended::Now(change.state));
            if let Some(Some(export)) = exports.get(index)
                && !change.state.is_terminal()
            {
                let statement = sql!("work/keep_export").bind(fence.job.uuid()).bind(*export);
                run(statement, changes.tx, "keeping an exported state").await?;
            }
            ends.push(change);
        }
        changes.apply(ends).await?;
        changes.finish().await?;
        commit(tx, what).await?;
        Ok(ended)
    }
}

impl Changes<'_> {
    /// The jobs that run in these epochs.
    async fn runs(&mut self, fences: &[Fence]) -> Result<HashMap<Fence, LockedJob>> {
        let locked = self.lock(fences.iter().map(|fence| fence.job)).await?;
        let running = locked.into_iter().filter(|job| job.state == JobState::Running);
        let by_fence: HashMap<Fence, LockedJob> =
            running.map(|job| (Fence { job: job.job, epoch: job.epoch }, job)).collect();
        Ok(by_fence)
    }
}

fn signal(row: &Fields<'_>) -> std::result::Result<(Fence, Signal), sqlx::Error> {
    let fence = Fence { job: row.id("job")?, epoch: row.count("epoch")? };
    let signal = match (row.int("signal")?, row.flag("timed_out")?) {
        (2, _) => Signal::Cancel,
        (_, true) => Signal::TimedOut,
        (1, false) => Signal::HandOver,
        _ => Signal::Continue,
    };
    Ok((fence, signal))
}
