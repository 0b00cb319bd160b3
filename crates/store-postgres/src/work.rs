//! What workers write about their runs.

use std::collections::HashMap;

use async_trait::async_trait;
use retouch_domain::{Change, Cost, Illegal, LockedJob, Loss, WorkerBootId};
use retouch_ports::store::adapter;
use retouch_ports::store::{
    Beat, Claim, Completion, Ended, Failure, Fence, HandOver, LeaseTerms, Signal, TakeOver, Ticket, Work,
};

use crate::change::{Changes, micros, run};
use crate::error::failed;
use crate::fields::Fields;
use crate::{PostgresStore, Result, again, commit, sql};

#[async_trait]
impl Work for PostgresStore {
    async fn claim(&self, terms: &LeaseTerms, tickets: &[Ticket]) -> Result<Vec<Claim>> {
        again(|| self.claim_tickets(terms, tickets)).await
    }

    async fn take_over(
        &self,
        terms: &LeaseTerms,
        ticket: &Ticket,
        holder_dead: Option<WorkerBootId>,
        random: f64,
    ) -> Result<TakeOver> {
        again(|| self.take_over_run(terms, ticket, holder_dead, random)).await
    }

    async fn renew(&self, terms: &LeaseTerms, beats: &[Beat]) -> Result<Vec<Signal>> {
        let what = "renewing leases";
        let rows = again(|| async {
            sql!("work/renew")
                .bind(adapter::beats(beats).to_string())
                .bind(terms.boot.uuid())
                .bind(micros(terms.length))
                .fetch_all(&self.pool)
                .await
                .map_err(failed(what))
        })
        .await?;
        let mut signals = HashMap::new();
        for row in &rows {
            let (fence, signal) = signal(&Fields(row)).map_err(failed(what))?;
            signals.insert(fence, signal);
        }
        Ok(beats.iter().map(|beat| signals.get(&beat.fence).copied().unwrap_or(Signal::Lost)).collect())
    }

    async fn commit(&self, completions: &[Completion]) -> Result<Vec<Ended>> {
        adapter::outputs_fit(completions)?;
        again(|| self.commit_results(completions)).await
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
        adapter::exports_fit(hand_overs)?;
        let fences: Vec<Fence> = hand_overs.iter().map(|hand_over| hand_over.fence).collect();
        let exports: Vec<Option<&[u8]>> = hand_overs.iter().map(|run| run.export.as_deref()).collect();
        self.end("handing runs over", &fences, &exports, |index, job| {
            job.lost(Loss::HandedOver, None, hand_overs[index].cost, 0.0)
        })
        .await
    }

    async fn release_canceled(&self, runs: &[(Fence, Cost)]) -> Result<Vec<Ended>> {
        let fences: Vec<Fence> = runs.iter().map(|(fence, _)| *fence).collect();
        self.end("ending canceled runs", &fences, &[], |index, job| adapter::canceled(job, runs[index].1))
            .await
    }
}

impl PostgresStore {
    async fn commit_results(&self, completions: &[Completion]) -> Result<Vec<Ended>> {
        let what = "committing results";
        let mut tx = self.write(what).await?;
        let mut changes = Changes::new(&mut tx);
        let fences: Vec<Fence> = completions.iter().map(|completion| completion.fence).collect();
        let locked = changes.lock(fences.iter().map(|fence| fence.job)).await?;
        let (done, ended) = adapter::end(&fences, adapter::runs(locked), |index, job| {
            let Completion { output, cost, .. } = &completions[index];
            job.committed(output.clone(), *cost)
        })?;
        // Each run ended once, in the order of the completions that are not stale.
        let mut parents = done.iter().map(|change| &change.before);
        for (completion, _) in completions.iter().zip(&ended).filter(|(_, ended)| **ended != Ended::Stale) {
            let Some(parent) = parents.next() else { break };
            if completion.children.is_empty() {
                continue;
            }
            let intake = changes.insert_jobs(parent.tenant, parent.batch, &completion.children).await?;
            adapter::children_are_valid(&intake.verdicts)?;
            changes.count(parent.batch, intake.counts());
        }
        changes.apply(done).await?;
        changes.finish().await?;
        commit(tx, what).await?;
        Ok(ended)
    }

    /// Ends those of the runs that are still their workers'; `exports` are kept for jobs that go on.
    async fn end(
        &self,
        what: &'static str,
        fences: &[Fence],
        exports: &[Option<&[u8]>],
        rule: impl Fn(usize, LockedJob) -> std::result::Result<Change, Illegal> + Sync,
    ) -> Result<Vec<Ended>> {
        let rule = &rule;
        again(|| async move {
            let mut tx = self.write(what).await?;
            let mut changes = Changes::new(&mut tx);
            let locked = changes.lock(fences.iter().map(|fence| fence.job)).await?;
            let (ends, ended) = adapter::end(fences, adapter::runs(locked), rule)?;
            for ((fence, export), ended) in fences.iter().zip(exports).zip(&ended) {
                if let (Some(export), Ended::Now(state)) = (export, ended)
                    && !state.is_terminal()
                {
                    let statement = sql!("work/keep_export").bind(fence.job.uuid()).bind(*export);
                    run(statement, changes.tx, "keeping an exported state").await?;
                }
            }
            changes.apply(ends).await?;
            changes.finish().await?;
            commit(tx, what).await?;
            Ok(ended)
        })
        .await
    }
}

fn signal(row: &Fields<'_>) -> std::result::Result<(Fence, Signal), sqlx::Error> {
    let fence = Fence { job: row.id("job")?, epoch: row.count("epoch")? };
    Ok((fence, adapter::signal(row.int("signal")?, row.flag("timed_out")?)))
}
