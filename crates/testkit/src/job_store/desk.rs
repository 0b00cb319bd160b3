//! What cases do again and again: make jobs, dispatch, claim, audit.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use retouch_domain::fair::Rules;
use retouch_domain::{
    Band, BatchId, Cost, ErrorCode, JobError, JobId, JobState, Loss, NewBatch, NewJob, Pool, RetryPolicy,
    TenantId, WorkerBootId,
};
use retouch_ports::store::{
    Account, Claim, Claimed, Completion, Cursor, Dispatched, Ended, EventRecord, EventScope, Failure, Fence,
    JobRecord, LeaseTerms, Seen, Submitted, Ticket, Verdict,
};
use retouch_ports::{Ids, JobStore};
use serde_json::json;

use crate::ids::SeededIds;

/// Dispatch with more room than any case needs.
pub const WIDE: Rules = Rules { window: 1000, share_of: 10, run: 8 };
/// A page that holds everything.
pub const HOUR: Duration = Duration::from_secs(3600);

static DESKS: AtomicU64 = AtomicU64::new(1);

/// A tenant with a store.
pub struct Desk {
    /// The store.
    pub store: Arc<dyn JobStore>,
    /// The tenant of all that is made here.
    pub tenant: TenantId,
    /// Whose leases the desk takes.
    pub boot: WorkerBootId,
    /// Where ids come from.
    pub ids: SeededIds,
}

impl Desk {
    /// A desk of a tenant of its own.
    pub fn new(store: Arc<dyn JobStore>) -> Self {
        let ids = SeededIds::new(DESKS.fetch_add(1, Ordering::SeqCst));
        Self { store, tenant: TenantId::new(ids.uuid()), boot: WorkerBootId::new(ids.uuid()), ids }
    }

    /// The pool of all jobs.
    pub fn pool(&self) -> Pool {
        "gpu".parse().expect("a name")
    }

    /// A batch that is not stored yet.
    pub fn new_batch(&self, band: Band) -> NewBatch {
        let id = BatchId::new(self.ids.uuid());
        NewBatch {
            id,
            tenant: self.tenant,
            band,
            label: Some("a label".to_owned()),
            meta: json!({"spool": "x"}),
        }
    }

    /// A job that is not stored yet.
    pub fn new_job(&self) -> NewJob {
        NewJob {
            id: JobId::new(self.ids.uuid()),
            key: None,
            kind: "edit".parse().expect("a name"),
            version: 1,
            payload: json!({"instruction": "làm cho trời xanh \"hơn\"", "n": [1, 2.5, null]}),
            inputs: vec!["in/1.png".to_owned()],
            pool: self.pool(),
            shape: "model/512x512".to_owned(),
            cost_ms: 100,
            run_at: None,
            deadline: None,
            timeout: HOUR,
            retry: RetryPolicy { max_attempts: 3, base: Duration::ZERO, cap: Duration::ZERO },
            after: Vec::new(),
        }
    }

    /// Several of them.
    pub fn new_jobs(&self, count: usize) -> Vec<NewJob> {
        (0..count).map(|_| self.new_job()).collect()
    }

    /// Stores jobs in a new batch.
    pub async fn submit_to(&self, band: Band, jobs: &[NewJob]) -> BatchId {
        let batch = self.new_batch(band);
        match self.store.submit(&batch, jobs, None).await.expect("a submission") {
            Submitted::New(verdicts) => {
                assert!(verdicts.iter().all(|verdict| *verdict == Verdict::New), "{verdicts:?}")
            }
            Submitted::Replayed(answer) => panic!("replayed {answer}"),
        }
        batch.id
    }

    /// Stores plain jobs in a new standard batch.
    pub async fn submit(&self, count: usize) -> (BatchId, Vec<JobId>) {
        let jobs = self.new_jobs(count);
        let batch = self.submit_to(Band::Standard, &jobs).await;
        (batch, jobs.iter().map(|job| job.id).collect())
    }

    /// Everything that may be dispatched.
    pub async fn dispatch(&self) -> Vec<Ticket> {
        self.dispatch_by(&WIDE).await
    }

    /// What these rules dispatch.
    pub async fn dispatch_by(&self, rules: &Rules) -> Vec<Ticket> {
        loop {
            if let Dispatched::Tickets(tickets) =
                self.store.dispatch(&self.pool(), rules).await.expect("dispatch")
            {
                return tickets;
            }
        }
    }

    /// A lease of an hour for this desk's worker.
    pub fn terms(&self) -> LeaseTerms {
        LeaseTerms { boot: self.boot, length: HOUR }
    }

    /// A lease that has expired when it is given, of another worker.
    pub fn expired(&self) -> LeaseTerms {
        LeaseTerms { boot: self.new_boot(), length: Duration::ZERO }
    }

    /// A lease of an hour of another worker.
    pub fn other(&self) -> LeaseTerms {
        LeaseTerms { boot: self.new_boot(), length: HOUR }
    }

    /// A boot id that nobody has.
    pub fn new_boot(&self) -> WorkerBootId {
        WorkerBootId::new(self.ids.uuid())
    }

    /// Claims all tickets, each of which must be good.
    pub async fn claim_as(&self, terms: &LeaseTerms, tickets: &[Ticket]) -> Vec<Claimed> {
        let claims = self.store.claim(terms, tickets).await.expect("claims");
        let claimed = |claim| match claim {
            Claim::Claimed(claimed) => *claimed,
            Claim::Refused(refusal) => panic!("refused: {refusal:?}"),
        };
        claims.into_iter().map(claimed).collect()
    }

    /// Dispatches everything and claims it.
    pub async fn start(&self) -> Vec<Claimed> {
        let tickets = self.dispatch().await;
        self.claim_as(&self.terms(), &tickets).await
    }

    /// Commits results.
    pub async fn commit(&self, fences: &[Fence]) -> Vec<Ended> {
        let completions: Vec<Completion> = fences.iter().map(|fence| completion(*fence)).collect();
        self.store.commit(&completions).await.expect("a commit")
    }

    /// Commits results three by three while others fold, and folds the rest. Answers how often a batch was over.
    pub async fn commit_while_folding(&self, fences: &[Fence]) -> usize {
        let mut tasks = Vec::new();
        for part in fences.chunks(3) {
            let (store, part) = (self.store.clone(), part.to_vec());
            tasks.push(tokio::spawn(async move {
                let completions: Vec<Completion> = part.iter().map(|fence| completion(*fence)).collect();
                store.commit(&completions).await.expect("a commit");
                store.fold(3).await.expect("a fold").len()
            }));
        }
        let mut over = 0;
        for task in tasks {
            over += task.await.expect("it ended");
        }
        while let more @ 1.. = self.store.fold(3).await.expect("a fold").len() {
            over += more;
        }
        over
    }

    /// Fails a run.
    pub async fn fail(&self, fence: Fence, loss: Loss) -> Ended {
        self.store.fail(&[failure(fence, loss)], 0.5).await.expect("a failure")[0]
    }

    /// A job as it stands.
    pub async fn job(&self, job: JobId) -> JobRecord {
        self.store.job(self.tenant, job).await.expect("a job").expect("the job")
    }

    /// A job's state.
    pub async fn state(&self, job: JobId) -> JobState {
        self.job(job).await.state
    }

    /// The names of a job's events.
    pub async fn log(&self, job: JobId) -> Vec<String> {
        let events = self.store.job_events(self.tenant, job).await.expect("events");
        events.into_iter().map(|event| event.event).collect()
    }

    /// The log of a scope, read in small pages, once it has this many entries: an entry is not read before every
    /// transaction that began before it is over, whosever that is.
    pub async fn events(&self, scope: EventScope, count: usize) -> Vec<EventRecord> {
        let (mut events, mut after) = (Vec::new(), Cursor::default());
        while events.len() < count {
            let page = self.store.events(scope, after, 2).await.expect("events");
            assert!(page.iter().all(|event| event.cursor > after), "{page:?}");
            after = page.last().map_or(after, |event| event.cursor);
            events.extend(page);
            tokio::task::yield_now().await;
        }
        events
    }

    /// Audits the whole store, which must be sound; answers how many jobs it has.
    pub async fn assert_sound(&self) -> usize {
        let mut findings = Vec::new();
        let mut see = |seen: Seen<'_>| {
            if let Seen::Finding(finding) = seen {
                findings.push(finding.to_string());
            }
        };
        let account = Account::audit(&*self.store, &mut see).await.expect("an audit");
        assert_eq!(findings, [] as [&str; 0]);
        usize::try_from(account.jobs).expect("a number of jobs")
    }
}

/// A result of a run.
pub fn completion(fence: Fence) -> Completion {
    let cost = Cost { device_ms: 70, forwards: 20, load_ms: 3 };
    Completion {
        fence,
        output: json!({"image": format!("{}/{}", fence.job, fence.epoch)}),
        cost,
        children: vec![],
    }
}

/// A failure of a run.
pub fn failure(fence: Fence, loss: Loss) -> Failure {
    let error =
        JobError { code: ErrorCode::new("image_unreadable"), message: "the image ends early".to_owned() };
    Failure { fence, loss, error, cost: Cost { device_ms: 5, forwards: 1, load_ms: 0 } }
}
