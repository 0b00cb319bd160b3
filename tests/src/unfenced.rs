//! A store whose fence is off, to see that chaos finds what it keeps out.

use std::sync::Arc;

use async_trait::async_trait;
use retouch_domain::{Cost, JobState, WorkerBootId};
use retouch_ports::store::{
    Beat, Claim, Completion, Ended, Failure, Fence, HandOver, LeaseTerms, Result, Signal, TakeOver, Ticket,
    Work,
};

/// Takes the result of a run that was lost for a visible one, and tells no worker that its run was lost.
pub struct Unfenced(pub Arc<dyn Work>);

#[async_trait]
impl Work for Unfenced {
    async fn claim(&self, terms: &LeaseTerms, tickets: &[Ticket]) -> Result<Vec<Claim>> {
        self.0.claim(terms, tickets).await
    }

    async fn take_over(
        &self,
        terms: &LeaseTerms,
        ticket: &Ticket,
        holder_dead: Option<WorkerBootId>,
        random: f64,
    ) -> Result<TakeOver> {
        self.0.take_over(terms, ticket, holder_dead, random).await
    }

    async fn renew(&self, terms: &LeaseTerms, beats: &[Beat]) -> Result<Vec<Signal>> {
        let signals = self.0.renew(terms, beats).await?;
        let deaf = |signal| if signal == Signal::Lost { Signal::Continue } else { signal };
        Ok(signals.into_iter().map(deaf).collect())
    }

    async fn commit(&self, completions: &[Completion]) -> Result<Vec<Ended>> {
        let ended = self.0.commit(completions).await?;
        Ok(ended.into_iter().map(|_| Ended::Now(JobState::Succeeded)).collect())
    }

    async fn fail(&self, failures: &[Failure], random: f64) -> Result<Vec<Ended>> {
        self.0.fail(failures, random).await
    }

    async fn hand_over(&self, hand_overs: &[HandOver]) -> Result<Vec<Ended>> {
        self.0.hand_over(hand_overs).await
    }

    async fn release_canceled(&self, runs: &[(Fence, Cost)]) -> Result<Vec<Ended>> {
        self.0.release_canceled(runs).await
    }
}
