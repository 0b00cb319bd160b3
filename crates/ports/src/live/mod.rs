//! What is true only now: progress, the presence of workers, events, rate limits.
//!
//! Nothing here decides about a job. Where the backend is lost, reads and writes fail with `Unavailable` within a second
//! or so, callers go on without them (heartbeats carry cancels, the store knows the live workers), and limits are counted
//! by each process for itself, which [`Taken::degraded`] says. What is written expires by itself.

mod bucket;

use std::error::Error;
use std::time::Duration;

use async_trait::async_trait;
use retouch_domain::{BatchId, JobId, Pool, WorkerBootId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Backoff, Ids, PortError};

pub use self::bucket::{Buckets, answer, check as check_limit};

/// What every method returns.
pub type Result<T> = std::result::Result<T, PortError>;

/// How far a running job is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The run that this is of.
    pub epoch: u32,
    /// Steps done.
    pub done: u32,
    /// Steps in all.
    pub total: u32,
}

/// A worker that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkerPresence {
    /// Its life.
    pub boot: WorkerBootId,
    /// The pool it works for.
    pub pool: Pool,
    /// Jobs that it can run at a time.
    pub slots: u32,
    /// Whether it takes no new jobs.
    pub draining: bool,
    /// The models that its jobs may name, in the order of their names.
    pub models: Vec<WorkerModel>,
}

/// A model that a worker has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerModel {
    /// Its name.
    pub name: String,
    /// It is on the device, so that jobs need not wait for it.
    pub loaded: bool,
}

/// Whom an event is for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Topic {
    /// Whoever watches a job.
    Job(JobId),
    /// Whoever watches a batch.
    Batch(BatchId),
    /// One worker.
    Worker(WorkerBootId),
    /// The schedulers.
    Scheduler,
}

impl Topic {
    /// The stable name, which adapters use on the wire.
    pub fn name(&self) -> String {
        match self {
            Self::Job(id) => format!("job:{id}"),
            Self::Batch(id) => format!("batch:{id}"),
            Self::Worker(id) => format!("worker:{id}"),
            Self::Scheduler => "scheduler".to_owned(),
        }
    }
}

/// Something to react to. Events are hints: each has a slower way through the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum LiveEvent {
    /// A run of a job is to be given up.
    Cancel {
        /// The job.
        job: Uuid,
        /// The run; another one is not meant.
        epoch: u32,
    },
    /// A job made a step.
    Progress {
        /// The job.
        job: Uuid,
        /// How far it is.
        progress: Progress,
    },
    /// The store has news of what the topic names.
    Changed,
    /// There may be work to dispatch in a pool.
    Nudge {
        /// The pool's name.
        pool: String,
    },
}

/// What a subscriber gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// An event on one of its topics.
    Event(Topic, LiveEvent),
    /// Events may have been missed, for the connection was lost or the subscriber was slow: read the store.
    Gap,
}

/// A token bucket.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limit {
    /// Tokens that a full bucket has, at least 1.
    pub burst: u32,
    /// Tokens that it gains in a second, above 0.
    pub per_second: f64,
}

/// What a bucket answered.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Taken {
    /// Whether the tokens were there and are taken.
    pub allowed: bool,
    /// Whole tokens that are left.
    pub remaining: u32,
    /// How long until this many tokens will be there; zero if they were.
    pub retry_after: Duration,
    /// Whether only this process counted, because the backend is lost.
    pub degraded: bool,
}

/// The live state that processes share, as `Arc<dyn Live>`.
#[async_trait]
pub trait Live: Send + Sync {
    /// Records how far jobs are, for `ttl`.
    async fn set_progress(&self, progress: &[(JobId, Progress)], ttl: Duration) -> Result<()>;

    /// How far jobs are, in their order; `None` for those that nobody told of or whose time has run out.
    async fn progress(&self, jobs: &[JobId]) -> Result<Vec<Option<Progress>>>;

    /// Says for `ttl` that a worker is there.
    async fn announce(&self, worker: &WorkerPresence, ttl: Duration) -> Result<()>;

    /// Takes back what [`Self::announce`] said.
    async fn withdraw(&self, worker: &WorkerPresence) -> Result<()>;

    /// The workers of a pool that are there, ordered by id.
    async fn workers(&self, pool: &Pool) -> Result<Vec<WorkerPresence>>;

    /// Tells all subscribers of a topic. Nobody may be listening.
    async fn publish(&self, topic: &Topic, event: &LiveEvent) -> Result<()>;

    /// Listens to topics: what is published after this returns is heard.
    async fn subscribe(&self, topics: &[Topic]) -> Result<Box<dyn Subscription>>;

    /// Takes `cost` tokens from the bucket of that name, or none. Loss of the backend is no error here.
    async fn take(&self, bucket: &str, limit: &Limit, cost: u32) -> Result<Taken>;

    /// Whether the backend answers, for health checks.
    async fn check(&self) -> Result<()>;
}

/// Events, one after the other.
#[async_trait]
pub trait Subscription: Send {
    /// The next one. Waits through the loss of the backend. Cancel safe.
    async fn next(&mut self) -> Heard;
}

/// A subscription, however often it must be tried: events are hints, and whoever listens goes on without them until then.
pub async fn subscribed(
    live: &dyn Live,
    topics: &[Topic],
    backoff: Backoff,
    ids: &dyn Ids,
) -> Box<dyn Subscription> {
    let mut failures = 0;
    loop {
        match live.subscribe(topics).await {
            Ok(events) => return events,
            Err(error) => tracing::debug!(error = &error as &dyn Error, ?topics, "events cannot be heard"),
        }
        failures += 1;
        tokio::time::sleep(backoff.wait(failures, ids)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_have_a_stable_form() {
        let cancel = LiveEvent::Cancel { job: Uuid::from_u128(1), epoch: 2 };
        let text = r#"{"event":"cancel","job":"00000000-0000-0000-0000-000000000001","epoch":2}"#;
        assert_eq!(serde_json::to_string(&cancel).unwrap(), text);
        assert_eq!(serde_json::from_str::<LiveEvent>(text).unwrap(), cancel);
        assert!(serde_json::from_str::<LiveEvent>(r#"{"event":"of a newer build"}"#).is_err());
    }
}
