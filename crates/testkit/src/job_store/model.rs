//! Random operations against the store and against an in-memory model of `transition()`.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use retouch_domain::{BatchId, Cost, Counts, Event, JobId, JobState, Loss, transition};
use retouch_ports::JobStore;
use retouch_ports::store::{
    Canceled, Claim, Ended, Fence, HandOver, LeaseTerms, Refusal, Retried, TakeOver, Ticket,
};

use super::desk::Desk;

const JOBS: usize = 4;
const ROUNDS: usize = 12;

/// What is tried, on which of the jobs.
#[derive(Debug, Clone, Copy)]
enum Operation {
    Claim,
    ClaimExpired,
    TakeOver,
    Commit,
    CommitStale,
    Fail(Loss),
    HandOver,
    Cancel,
    ReleaseCanceled,
    Retry,
    Park,
    Release,
    Reap,
    Fold,
}

/// A job as the model has it.
#[derive(Debug, Clone, Copy)]
struct Model {
    state: JobState,
    epoch: u32,
}

impl Model {
    /// Follows the domain's rule, and answers whether it could happen.
    fn happen(&mut self, event: Event) -> bool {
        let Ok(state) = transition(self.state, event) else { return false };
        self.state = state;
        self.epoch += u32::from(event.raises_epoch());
        true
    }
}

/// Each round is a batch with its own series of operations; after each operation store and model agree.
pub async fn random_operations_agree_with_the_model(store: Arc<dyn JobStore>) {
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    for _ in 0..ROUNDS {
        let series = prop::collection::vec((operation(), 0..JOBS), 60);
        let series = series.new_tree(&mut runner).expect("a series").current();
        let mut bench = Bench::new(store.clone()).await;
        for (index, (operation, job)) in series.iter().enumerate() {
            bench.run(*operation, *job).await;
            bench.compare(&series[..=index]).await;
        }
        bench.desk.assert_sound().await;
        bench.desk.store.cancel_batch(bench.desk.tenant, bench.batch).await.ok();
        bench.desk.store.reap_leases(&[bench.desk.boot], 100, 0.5).await.expect("reaping");
    }
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        4 => Just(Operation::Claim),
        2 => Just(Operation::ClaimExpired),
        1 => Just(Operation::TakeOver),
        2 => Just(Operation::Commit),
        1 => Just(Operation::CommitStale),
        2 => prop::sample::select(Loss::ALL.to_vec()).prop_map(Operation::Fail),
        1 => Just(Operation::HandOver),
        1 => Just(Operation::Cancel),
        1 => Just(Operation::ReleaseCanceled),
        2 => Just(Operation::Retry),
        1 => Just(Operation::Park),
        2 => Just(Operation::Release),
        1 => Just(Operation::Reap),
        1 => Just(Operation::Fold),
    ]
}

struct Bench {
    desk: Desk,
    batch: BatchId,
    jobs: Vec<JobId>,
    models: BTreeMap<JobId, Model>,
}

impl Bench {
    async fn new(store: Arc<dyn JobStore>) -> Self {
        let desk = Desk::new(store);
        let (batch, jobs) = desk.submit(JOBS).await;
        let fresh = Model { state: JobState::Queued, epoch: 0 };
        let models = jobs.iter().map(|job| (*job, fresh)).collect();
        Self { desk, batch, jobs, models }
    }

    fn ticket(&self, job: JobId) -> Ticket {
        let band = retouch_domain::Band::Standard;
        Ticket { job, tenant: self.desk.tenant, epoch: self.models[&job].epoch, band }
    }

    fn model(&mut self, job: JobId) -> &mut Model {
        self.models.get_mut(&job).expect("a job of the bench")
    }

    async fn run(&mut self, operation: Operation, index: usize) {
        let job = self.jobs[index];
        let fence = Fence { job, epoch: self.models[&job].epoch };
        let stale = Fence { epoch: fence.epoch.wrapping_sub(1), ..fence };
        let store = self.desk.store.clone();
        match operation {
            Operation::Claim => self.claim(job, self.desk.terms()).await,
            Operation::ClaimExpired => self.claim(job, self.desk.expired()).await,
            Operation::TakeOver => self.take_over(job).await,
            Operation::Commit => {
                let ended = self.desk.commit(&[fence]).await[0];
                self.ended(job, ended, &[Event::Committed]);
            }
            Operation::CommitStale => assert_eq!(self.desk.commit(&[stale]).await, [Ended::Stale]),
            Operation::Fail(loss) => {
                let ended = self.desk.fail(fence, loss).await;
                let events =
                    [Event::Canceled, Event::Failed, Event::BackedOff, Event::LeaseLost, Event::HandedOver];
                self.ended(job, ended, &events);
            }
            Operation::HandOver => {
                let hand_over = HandOver { fence, export: None, cost: Cost::default() };
                let ended = store.hand_over(&[hand_over]).await.expect("a hand-over")[0];
                self.ended(job, ended, &[Event::HandedOver, Event::Canceled, Event::Failed]);
            }
            Operation::Cancel => {
                let canceled = store.cancel_job(self.desk.tenant, job).await.expect("a cancel");
                let model = self.model(job);
                match canceled {
                    Canceled::Now => assert!(model.happen(Event::Canceled)),
                    Canceled::Requested => assert!(model.happen(Event::CancelRequested)),
                    Canceled::TooLate(state) => assert!(state == model.state && state.is_terminal()),
                }
            }
            Operation::ReleaseCanceled => {
                let ended = store.release_canceled(&[(fence, Cost::default())]).await.expect("a release")[0];
                self.ended(job, ended, &[Event::Canceled]);
            }
            Operation::Retry => match store.retry_job(self.desk.tenant, job).await.expect("a retry") {
                Retried::Now(_) => assert!(self.model(job).happen(Event::Retried)),
                Retried::Refused(state) => {
                    assert_eq!(state, self.models[&job].state);
                    assert!(transition(state, Event::Retried).is_err());
                }
            },
            Operation::Park => {
                let parked = store.park(&self.ticket(job), 0.5).await.expect("parking");
                let model = self.model(job);
                assert_eq!(parked, transition(model.state, Event::Parked).is_ok());
                if parked {
                    let event = if self.desk.state(job).await == JobState::Failed {
                        Event::Undeliverable
                    } else {
                        Event::Parked
                    };
                    assert!(self.model(job).happen(event));
                }
            }
            Operation::Release => {
                store.release_due(100).await.expect("a release");
                for model in self.models.values_mut() {
                    model.happen(Event::Due);
                }
            }
            Operation::Reap => self.reap().await,
            Operation::Fold => {
                store.fold(100).await.expect("a fold");
            }
        }
    }

    async fn claim(&mut self, job: JobId, terms: LeaseTerms) {
        let claim = self.desk.store.claim(&terms, &[self.ticket(job)]).await.expect("a claim").remove(0);
        let model = self.model(job);
        match claim {
            Claim::Claimed(run) => assert!(model.happen(Event::Claimed) && run.fence.epoch == model.epoch),
            Claim::Refused(Refusal::Running) => assert_eq!(model.state, JobState::Running),
            Claim::Refused(Refusal::NotQueued(state)) => assert_eq!(model.state, state),
            Claim::Refused(other) => panic!("refused: {other:?}"),
        }
    }

    async fn take_over(&mut self, job: JobId) {
        let answer = self.desk.store.take_over(&self.desk.terms(), &self.ticket(job), None, 0.5).await;
        let state = self.desk.state(job).await;
        let model = self.model(job);
        match answer.expect("a takeover") {
            TakeOver::Claimed(run) => {
                assert!(model.happen(Event::LeaseLost) && model.happen(Event::Claimed));
                assert_eq!(run.fence.epoch, model.epoch);
            }
            TakeOver::Ended(ended) => {
                assert_eq!(ended, state);
                let event = if ended == JobState::Canceled { Event::Canceled } else { Event::Failed };
                assert!(model.happen(event));
            }
            TakeOver::Readopted(fence) => {
                assert_eq!((model.state, fence.epoch), (JobState::Running, model.epoch))
            }
            TakeOver::Held(_) => assert_eq!(model.state, JobState::Running),
            TakeOver::Refused(_) => assert_ne!(model.state, JobState::Running),
        }
    }

    async fn reap(&mut self) {
        for job in self.desk.store.reap_leases(&[], 100, 0.5).await.expect("reaping") {
            let state = self.desk.state(job).await;
            let event = match state {
                JobState::Queued => Event::LeaseLost,
                JobState::Canceled => Event::Canceled,
                JobState::Failed => Event::Failed,
                other => panic!("reaped into {other:?}"),
            };
            assert!(self.model(job).happen(event));
        }
    }

    /// A write about a run took effect if and only if the job ran, and by one of these events.
    fn ended(&mut self, job: JobId, ended: Ended, events: &[Event]) {
        let model = self.model(job);
        match ended {
            Ended::Stale => assert_ne!(model.state, JobState::Running),
            Ended::Now(state) => {
                let event = events.iter().find(|event| transition(model.state, **event) == Ok(state));
                let event =
                    event.unwrap_or_else(|| panic!("{:?} to {state:?} by none of {events:?}", model.state));
                assert!(model.happen(*event));
            }
        }
    }

    async fn compare(&self, so_far: &[(Operation, usize)]) {
        let mut counts = Counts::accepted(0);
        for (job, model) in &self.models {
            let record = self.desk.job(*job).await;
            assert_eq!((record.state, record.epoch), (model.state, model.epoch), "{job} after {so_far:?}");
            counts += Counts::accepted(1) + Counts::moved(JobState::Queued, model.state);
        }
        let batch =
            self.desk.store.batch(self.desk.tenant, self.batch).await.expect("a batch").expect("the batch");
        assert_eq!(batch.counts, counts, "after {so_far:?}");
    }
}
