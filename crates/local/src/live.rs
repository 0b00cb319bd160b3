//! Progress, presence, events and limits in the memory of one process.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use retouch_domain::{JobId, Pool, Timestamp, WorkerBootId};
use retouch_ports::Clock;
use retouch_ports::live::{
    Buckets, Heard, Limit, Live, LiveEvent, Progress, Result, Subscription, Taken, Topic, WorkerPresence,
};
use tokio::sync::mpsc;

/// Events that wait for a subscriber; one that is slower misses some and is told.
const BACKLOG: usize = 1024;
/// Entries beyond this many are looked through for expired ones.
const MANY: usize = 10_000;

/// The live state of one process. Clones share it.
#[derive(Clone)]
pub struct LocalLive {
    clock: Arc<dyn Clock>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    progress: HashMap<JobId, Expiring<Progress>>,
    prune_at: usize,
    workers: BTreeMap<WorkerBootId, Expiring<WorkerPresence>>,
    subscribers: HashMap<Topic, Vec<Subscriber>>,
    next_subscriber: u64,
    buckets: Buckets,
}

struct Expiring<T> {
    value: T,
    until: Timestamp,
}

#[derive(Clone)]
struct Subscriber {
    id: u64,
    events: mpsc::Sender<(Topic, LiveEvent)>,
    missed: Arc<AtomicBool>,
}

impl LocalLive {
    /// Empty state, whose entries expire by `clock`.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, state: Arc::default() }
    }

    /// Each change is one insertion or removal, so a panic elsewhere does no harm.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Live for LocalLive {
    async fn set_progress(&self, progress: &[(JobId, Progress)], ttl: Duration) -> Result<()> {
        let now = self.clock.now();
        let mut state = self.state();
        for (job, value) in progress {
            state.progress.insert(*job, Expiring { value: value.clone(), until: now + ttl });
        }
        if state.progress.len() > state.prune_at.max(MANY) {
            state.progress.retain(|_, entry| entry.until > now);
            state.prune_at = state.progress.len() * 2;
        }
        Ok(())
    }

    async fn progress(&self, jobs: &[JobId]) -> Result<Vec<Option<Progress>>> {
        let now = self.clock.now();
        let state = self.state();
        let get =
            |job| state.progress.get(job).filter(|entry| entry.until > now).map(|entry| entry.value.clone());
        Ok(jobs.iter().map(get).collect())
    }

    async fn announce(&self, worker: &WorkerPresence, ttl: Duration) -> Result<()> {
        let now = self.clock.now();
        let mut state = self.state();
        state.workers.retain(|_, entry| entry.until > now);
        state.workers.insert(worker.boot, Expiring { value: worker.clone(), until: now + ttl });
        Ok(())
    }

    async fn withdraw(&self, worker: &WorkerPresence) -> Result<()> {
        self.state().workers.remove(&worker.boot);
        Ok(())
    }

    async fn workers(&self, pool: &Pool) -> Result<Vec<WorkerPresence>> {
        let now = self.clock.now();
        let state = self.state();
        let there = state.workers.values().filter(|entry| entry.until > now && entry.value.pool == *pool);
        Ok(there.map(|entry| entry.value.clone()).collect())
    }

    async fn publish(&self, topic: &Topic, event: &LiveEvent) -> Result<()> {
        let state = self.state();
        for subscriber in state.subscribers.get(topic).into_iter().flatten() {
            if subscriber.events.try_send((topic.clone(), event.clone())).is_err() {
                subscriber.missed.store(true, Ordering::Release);
            }
        }
        Ok(())
    }

    async fn subscribe(&self, topics: &[Topic]) -> Result<Box<dyn Subscription>> {
        let (sender, events) = mpsc::channel(BACKLOG);
        let mut state = self.state();
        state.next_subscriber += 1;
        let missed = Arc::new(AtomicBool::new(false));
        let subscriber = Subscriber { id: state.next_subscriber, events: sender, missed: missed.clone() };
        let mut topics = topics.to_vec();
        topics.sort();
        topics.dedup();
        for topic in &topics {
            state.subscribers.entry(topic.clone()).or_default().push(subscriber.clone());
        }
        Ok(Box::new(LocalSubscription {
            state: self.state.clone(),
            id: subscriber.id,
            topics,
            events,
            missed,
        }))
    }

    async fn take(&self, bucket: &str, limit: &Limit, cost: u32) -> Result<Taken> {
        let now = self.clock.now();
        self.state().buckets.take(bucket, limit, cost, now)
    }

    async fn check(&self) -> Result<()> {
        Ok(())
    }
}

struct LocalSubscription {
    state: Arc<Mutex<State>>,
    id: u64,
    topics: Vec<Topic>,
    events: mpsc::Receiver<(Topic, LiveEvent)>,
    missed: Arc<AtomicBool>,
}

#[async_trait]
impl Subscription for LocalSubscription {
    async fn next(&mut self) -> Heard {
        if self.missed.swap(false, Ordering::Acquire) {
            return Heard::Gap;
        }
        match self.events.recv().await {
            Some((topic, event)) => Heard::Event(topic, event),
            // Without topics nobody can send.
            None => std::future::pending().await,
        }
    }
}

impl Drop for LocalSubscription {
    fn drop(&mut self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        for topic in &self.topics {
            if let Some(subscribers) = state.subscribers.get_mut(topic) {
                subscribers.retain(|subscriber| subscriber.id != self.id);
                if subscribers.is_empty() {
                    state.subscribers.remove(topic);
                }
            }
        }
    }
}
