//! Progress, presence, events and limits on Redis 6 or newer. Where Redis is lost, calls fail within a second and
//! limits are counted by each process for itself.
//!
//! Everything expires by Redis' own clock. Scripts do what must happen at once; they name all their keys.

mod error;
mod hub;
mod scripts;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{Client, FromRedisValue, RedisResult};
use retouch_domain::{JobId, Pool, Timestamp, WorkerBootId};
use retouch_ports::live::{
    Buckets, Limit, Live, LiveEvent, Progress, Result, Subscription, Taken, Topic, WorkerPresence, answer,
    check_limit,
};
use retouch_ports::{Clock, Ids, PortError, PortErrorKind};
use tokio::time::timeout;

use crate::error::failed;
use crate::hub::Hub;
use crate::scripts::Scripts;

/// How long a call may take.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long limits are counted here after a failure before Redis is asked again.
const RESPITE: Duration = Duration::from_secs(1);

/// The live state that processes share through one Redis. Clones share the connections.
#[derive(Clone)]
pub struct RedisLive {
    shared: Arc<Shared>,
}

struct Shared {
    commands: ConnectionManager,
    hub: Hub,
    scripts: Scripts,
    prefix: String,
    clock: Arc<dyn Clock>,
    own: Mutex<OwnLimits>,
}

/// Limits while Redis is lost.
#[derive(Default)]
struct OwnLimits {
    buckets: Buckets,
    until: Option<Timestamp>,
}

impl RedisLive {
    /// The state below `prefix` in the Redis at `url` (`redis://` or `rediss://`). Connects when it is first used, since
    /// nothing depends on Redis being there; [`Live::check`] says whether it is.
    pub fn open(url: &str, prefix: &str, clock: Arc<dyn Clock>, ids: Arc<dyn Ids>) -> Result<Self> {
        let client = Client::open(url).map_err(|error| {
            let text = "the URL of the live state is no redis://user:password@host:port/db";
            PortError::new(PortErrorKind::Invalid, text).with_source(error)
        })?;
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(PATIENCE))
            .set_response_timeout(Some(PATIENCE))
            .set_number_of_retries(0);
        let commands = ConnectionManager::new_lazy_with_config(client.clone(), config)
            .map_err(|error| failed("setting up Redis", error))?;
        let hub = Hub::start(client, prefix.to_owned(), ids);
        let (scripts, prefix, own) = (Scripts::default(), prefix.to_owned(), Mutex::default());
        Ok(Self { shared: Arc::new(Shared { commands, hub, scripts, prefix, clock, own }) })
    }

    fn key(&self, kind: &str, name: &dyn std::fmt::Display) -> String {
        format!("{}:{kind}:{name}", self.shared.prefix)
    }

    /// The two keys of a pool, in one slot of a cluster.
    fn pool_keys(&self, pool: &Pool) -> [String; 2] {
        ["until", "data"].map(|part| format!("{}:workers:{{{pool}}}:{part}", self.shared.prefix))
    }

    async fn ask<T: FromRedisValue>(
        &self,
        what: &str,
        call: impl AsyncFnOnce(ConnectionManager) -> RedisResult<T>,
    ) -> Result<T> {
        match timeout(PATIENCE, call(self.shared.commands.clone())).await {
            Ok(outcome) => outcome.map_err(|error| failed(what, error)),
            Err(_) => {
                let text = format!("{what} failed: Redis does not answer");
                Err(PortError::new(PortErrorKind::Unavailable, text))
            }
        }
    }

    async fn shared_take(&self, bucket: &str, limit: &Limit, cost: u32) -> Result<Taken> {
        let mut call = self.shared.scripts.take.key(self.key("bucket", &bucket));
        call.arg(limit.burst).arg(limit.per_second).arg(cost);
        let reply = self.ask("taking tokens", async |mut redis| call.invoke_async(&mut redis).await);
        let (allowed, left): (bool, f64) = reply.await?;
        Ok(answer(limit, cost, allowed, left))
    }

    /// Whether Redis was lost so recently that it is not asked.
    fn rests(&self, now: Timestamp) -> bool {
        let own = self.shared.own.lock().unwrap_or_else(PoisonError::into_inner);
        own.until.is_some_and(|until| now < until)
    }

    fn own_take(&self, bucket: &str, limit: &Limit, cost: u32, now: Timestamp) -> Result<Taken> {
        let mut own = self.shared.own.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = own.buckets.take(bucket, limit, cost, now)?;
        Ok(Taken { degraded: true, ..taken })
    }
}

#[async_trait]
impl Live for RedisLive {
    async fn set_progress(&self, progress: &[(JobId, Progress)], ttl: Duration) -> Result<()> {
        if progress.is_empty() {
            return Ok(());
        }
        let mut pipe = redis::pipe();
        for (job, Progress { epoch, done, total }) in progress {
            let value = format!("{epoch}:{done}:{total}");
            pipe.pset_ex(self.key("progress", job), value, millis(ttl)).ignore();
        }
        self.ask("writing progress", async |mut redis| pipe.query_async(&mut redis).await).await
    }

    async fn progress(&self, jobs: &[JobId]) -> Result<Vec<Option<Progress>>> {
        if jobs.is_empty() {
            return Ok(Vec::new());
        }
        let mut get = redis::cmd("MGET");
        get.arg(jobs.iter().map(|job| self.key("progress", job)).collect::<Vec<_>>());
        let ask = self.ask("reading progress", async |mut redis| get.query_async(&mut redis).await);
        let values: Vec<Option<String>> = ask.await?;
        Ok(values.into_iter().map(|value| parse_progress(&value?)).collect())
    }

    async fn announce(&self, worker: &WorkerPresence, ttl: Duration) -> Result<()> {
        let [until, data] = self.pool_keys(&worker.pool);
        let mut call = self.shared.scripts.announce.key(until);
        let models = serde_json::to_string(&worker.models).expect("names are JSON");
        let value = format!("{}:{}:{models}", worker.slots, u8::from(worker.draining));
        call.key(data).arg(worker.boot.to_string()).arg(value).arg(millis(ttl));
        self.ask("announcing a worker", async |mut redis| call.invoke_async(&mut redis).await).await
    }

    async fn withdraw(&self, worker: &WorkerPresence) -> Result<()> {
        let [until, data] = self.pool_keys(&worker.pool);
        let mut pipe = redis::pipe();
        let boot = worker.boot.to_string();
        pipe.atomic().zrem(until, &boot).ignore().hdel(data, &boot).ignore();
        self.ask("withdrawing a worker", async |mut redis| pipe.query_async(&mut redis).await).await
    }

    async fn workers(&self, pool: &Pool) -> Result<Vec<WorkerPresence>> {
        let [until, data] = self.pool_keys(pool);
        let mut call = self.shared.scripts.workers.key(until);
        call.key(data);
        let ask = self.ask("reading the workers", async |mut redis| call.invoke_async(&mut redis).await);
        let found: Vec<(String, Option<String>)> = ask.await?;
        let parse = |(boot, value): (String, Option<String>)| parse_worker(pool, &boot, &value?);
        let mut workers: Vec<_> = found.into_iter().filter_map(parse).collect();
        workers.sort_by_key(|worker| worker.boot);
        Ok(workers)
    }

    async fn publish(&self, topic: &Topic, event: &LiveEvent) -> Result<()> {
        let body = serde_json::to_string(event).expect("an event is JSON");
        let mut publish = redis::cmd("PUBLISH");
        publish.arg(format!("{}:{}", self.shared.prefix, topic.name())).arg(body);
        self.ask("telling of an event", async |mut redis| publish.query_async(&mut redis).await).await
    }

    async fn subscribe(&self, topics: &[Topic]) -> Result<Box<dyn Subscription>> {
        self.shared.hub.subscribe(topics).await
    }

    async fn take(&self, bucket: &str, limit: &Limit, cost: u32) -> Result<Taken> {
        check_limit(limit, cost)?;
        let now = self.shared.clock.now();
        if self.rests(now) {
            return self.own_take(bucket, limit, cost, now);
        }
        match self.shared_take(bucket, limit, cost).await {
            Ok(taken) => Ok(taken),
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "limits are counted by this process alone"
                );
                let now = self.shared.clock.now();
                self.shared.own.lock().unwrap_or_else(PoisonError::into_inner).until = Some(now + RESPITE);
                self.own_take(bucket, limit, cost, now)
            }
        }
    }

    async fn check(&self) -> Result<()> {
        let ping = redis::cmd("PING");
        self.ask("asking Redis", async |mut redis| ping.query_async(&mut redis).await).await
    }
}

/// Redis takes 1 ms and more.
fn millis(ttl: Duration) -> u64 {
    u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX).clamp(1, i64::MAX as u64 / 2)
}

/// `None` for what another build wrote.
fn parse_progress(value: &str) -> Option<Progress> {
    let mut parts = value.split(':').map(|part| part.parse::<u32>().ok());
    Some(Progress { epoch: parts.next()??, done: parts.next()??, total: parts.next()?? })
}

fn parse_worker(pool: &Pool, boot: &str, value: &str) -> Option<WorkerPresence> {
    let boot: WorkerBootId = boot.parse().ok()?;
    let mut parts = value.splitn(3, ':');
    let (slots, draining) = (parts.next()?.parse().ok()?, parts.next()? == "1");
    // A build of before says nothing of models.
    let models = parts.next().map_or(Some(Vec::new()), |models| serde_json::from_str(models).ok())?;
    Some(WorkerPresence { boot, pool: pool.clone(), slots, draining, models })
}
