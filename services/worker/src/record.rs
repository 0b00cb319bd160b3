//! Puts the ends of runs on record. Whatever comes while a write is under way goes together with the next: a busy worker
//! pays for one transaction where an idle one pays for each.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use retouch_domain::{Cost, ErrorCode, JobError, Loss};
use retouch_ports::store::{Completion, Ended, Failure, Fence, HandOver, Work};
use retouch_ports::{Backoff, Ids, PortError, PortErrorKind, fail_point};
use tokio::sync::{mpsc, oneshot};

/// Of whatever a worker tries again.
pub(crate) const BACKOFF: Backoff =
    Backoff { first: Duration::from_millis(50), longest: Duration::from_secs(3) };
/// How many ends one write takes.
const TOGETHER: usize = 256;
/// Exported states are large: so many go together.
const EXPORTS_TOGETHER: usize = 8;

/// The end of a run.
#[derive(Debug)]
pub(crate) enum Record {
    Done(Completion),
    Failed(Failure),
    HandedOver(HandOver),
    Canceled(Fence, Cost),
}

type Request = (Record, oneshot::Sender<Ended>);

/// Where ends are handed in. Clones share the writer.
#[derive(Clone)]
pub(crate) struct Recorder(mpsc::Sender<Request>);

impl Recorder {
    /// A recorder, and its writer for a task of its own.
    pub(crate) fn new(work: Arc<dyn Work>, ids: Arc<dyn Ids>) -> (Self, Writer) {
        let (sender, requests) = mpsc::channel(TOGETHER);
        (Self(sender), Writer { work, ids, requests })
    }

    /// Waits until the end is on record. None if the worker is torn down.
    pub(crate) async fn record(&self, record: Record) -> Option<Ended> {
        let (answer, answered) = oneshot::channel();
        self.0.send((record, answer)).await.ok()?;
        answered.await.ok()
    }
}

pub(crate) struct Writer {
    work: Arc<dyn Work>,
    ids: Arc<dyn Ids>,
    requests: mpsc::Receiver<Request>,
}

/// Ends of one kind, and who waits for each.
type Part<T> = (Vec<T>, Vec<oneshot::Sender<Ended>>);

impl Writer {
    /// Writes until all recorders are gone.
    pub(crate) async fn run(mut self) {
        let mut requests = Vec::with_capacity(TOGETHER);
        while self.requests.recv_many(&mut requests, TOGETHER).await > 0 {
            self.write(std::mem::take(&mut requests)).await;
        }
    }

    async fn write(&self, requests: Vec<Request>) {
        let mut done: Part<Completion> = Part::default();
        let mut failed: Part<Failure> = Part::default();
        let mut handed: Part<HandOver> = Part::default();
        let mut canceled: Part<(Fence, Cost)> = Part::default();
        for (record, answer) in requests {
            match record {
                Record::Done(completion) => push(&mut done, completion, answer),
                Record::Failed(failure) => push(&mut failed, failure, answer),
                Record::HandedOver(hand_over) => push(&mut handed, hand_over, answer),
                Record::Canceled(fence, cost) => push(&mut canceled, (fence, cost), answer),
            }
        }
        tokio::join!(
            self.write_done(done),
            self.write_failed(failed),
            self.write_handed_over(handed),
            self.write_canceled(canceled),
        );
    }

    async fn write_done(&self, (completions, answers): Part<Completion>) {
        if completions.is_empty() {
            return;
        }
        fail_point!("worker.result_ready");
        match self.insist("committing results", || self.work.commit(&completions)).await {
            Ok(ended) => {
                fail_point!("worker.committed");
                answer(answers, ended);
            }
            Err(error) if completions.len() == 1 => {
                let failures =
                    completions.iter().map(|completion| unacceptable(completion, &error)).collect();
                self.write_failed((failures, answers)).await;
            }
            Err(_) => {
                // One of them cannot be accepted, and nothing of the call took effect.
                for one in completions.into_iter().zip(answers) {
                    Box::pin(self.write_done((vec![one.0], vec![one.1]))).await;
                }
            }
        }
    }

    async fn write_failed(&self, (failures, answers): Part<Failure>) {
        if failures.is_empty() {
            return;
        }
        let random = self.ids.unit();
        let write = self.insist("failing runs", || self.work.fail(&failures, random));
        self.answer_or_tell("failures", answers, write.await);
    }

    async fn write_handed_over(&self, (mut hand_overs, mut answers): Part<HandOver>) {
        while !hand_overs.is_empty() {
            let count = hand_overs.len().min(EXPORTS_TOGETHER);
            let part: Vec<HandOver> = hand_overs.drain(..count).collect();
            let waiting: Vec<_> = answers.drain(..count).collect();
            let what = "handing runs over";
            let outcome = match self.insist(what, || self.work.hand_over(&part)).await {
                // A state is too large: another worker begins anew.
                Err(_) => {
                    let bare = |run: HandOver| HandOver { export: None, ..run };
                    let part: Vec<HandOver> = part.into_iter().map(bare).collect();
                    self.insist(what, || self.work.hand_over(&part)).await
                }
                written => written,
            };
            self.answer_or_tell("hand-overs", waiting, outcome);
        }
    }

    async fn write_canceled(&self, (runs, answers): Part<(Fence, Cost)>) {
        if runs.is_empty() {
            return;
        }
        let write = self.insist("canceling runs", || self.work.release_canceled(&runs));
        self.answer_or_tell("cancels", answers, write.await);
    }

    fn answer_or_tell(
        &self,
        what: &str,
        answers: Vec<oneshot::Sender<Ended>>,
        outcome: Result<Vec<Ended>, PortError>,
    ) {
        match outcome {
            Ok(ended) => answer(answers, ended),
            Err(error) => {
                // Nobody is answered: the leases of these runs expire.
                tracing::error!(error = &error as &dyn Error, "the store refuses {what}");
            }
        }
    }

    /// Repeats a call until it has an answer: the fence makes a second time harmless. Only input that can never be accepted
    /// is an error.
    async fn insist<'a, T>(
        &self,
        what: &str,
        call: impl Fn() -> BoxFuture<'a, Result<T, PortError>>,
    ) -> Result<T, PortError> {
        let mut failures = 0;
        loop {
            match call().await {
                Err(error) if error.kind() != PortErrorKind::Invalid => {
                    failures += 1;
                    if failures == 1 {
                        tracing::warn!(error = &error as &dyn Error, "{what} failed; tries again");
                    }
                }
                outcome => return outcome,
            }
            tokio::time::sleep(BACKOFF.wait(failures, &*self.ids)).await;
        }
    }
}

fn push<T>(part: &mut Part<T>, value: T, answer: oneshot::Sender<Ended>) {
    part.0.push(value);
    part.1.push(answer);
}

fn answer(answers: Vec<oneshot::Sender<Ended>>, ended: Vec<Ended>) {
    for (answer, ended) in answers.into_iter().zip(ended) {
        // A run that nobody waits for any more is over all the same.
        let _ = answer.send(ended);
    }
}

fn unacceptable(completion: &Completion, error: &PortError) -> Failure {
    let cause = error.source().map_or_else(|| error.to_string(), |cause| cause.to_string());
    let error = JobError {
        code: ErrorCode::new("result_unacceptable"),
        message: format!("its result cannot be stored: {cause}"),
    };
    Failure { fence: completion.fence, loss: Loss::Permanent, error, cost: completion.cost }
}
