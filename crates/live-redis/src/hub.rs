//! All subscriptions of a process over one connection, which is made again when it is lost.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt;
use redis::aio::{PubSubSink, PubSubStream};
use redis::{Client, Msg, RedisError};
use retouch_ports::live::{Heard, LiveEvent, Result, Subscription, Topic};
use retouch_ports::{Backoff, Ids, PortError, PortErrorKind};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until, timeout};

use crate::PATIENCE;
use crate::error::failed;

/// Events that wait for a subscriber; one that is slower misses some and is told.
const BACKLOG: usize = 1024;
/// How often a silent connection is asked whether it still is one.
const PING: Duration = Duration::from_secs(10);
/// Between tries to connect.
const BACKOFF: Backoff = Backoff { first: Duration::from_millis(50), longest: Duration::from_secs(5) };

/// Hands the events of a process to its subscribers.
pub(crate) struct Hub {
    orders: mpsc::UnboundedSender<Order>,
    next: AtomicU64,
}

enum Order {
    Subscribe(Subscriber, oneshot::Sender<Result<()>>),
    Unsubscribe(u64),
}

struct Subscriber {
    id: u64,
    topics: BTreeSet<Topic>,
    events: mpsc::Sender<Heard>,
    missed: Arc<AtomicBool>,
}

impl Hub {
    pub(crate) fn start(client: Client, prefix: String, ids: Arc<dyn Ids>) -> Self {
        let (orders, received) = mpsc::unbounded_channel();
        let task = Task {
            client,
            prefix,
            ids,
            subscribers: HashMap::new(),
            topics: HashMap::new(),
            connection: None,
            failures: 0,
            wake: Instant::now(),
        };
        tokio::spawn(task.run(received));
        Self { orders, next: AtomicU64::new(0) }
    }

    pub(crate) async fn subscribe(&self, topics: &[Topic]) -> Result<Box<dyn Subscription>> {
        let (events, receiver) = mpsc::channel(BACKLOG);
        let (reply, answer) = oneshot::channel();
        let missed = Arc::new(AtomicBool::new(false));
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        // From here on a subscription that is dropped is also taken back.
        let subscription =
            RedisSubscription { id, events: receiver, missed: missed.clone(), orders: self.orders.clone() };
        let subscriber = Subscriber { id, topics: topics.iter().cloned().collect(), events, missed };
        let sent = self.orders.send(Order::Subscribe(subscriber, reply));
        let ended = |_| PortError::new(PortErrorKind::Internal, "the task of the subscriptions ended");
        sent.map_err(|_| ended(()))?;
        answer.await.map_err(|_| ended(()))??;
        Ok(Box::new(subscription))
    }
}

struct Task {
    client: Client,
    prefix: String,
    ids: Arc<dyn Ids>,
    subscribers: HashMap<u64, Subscriber>,
    /// By channel: the topic and who listens to it.
    topics: HashMap<String, (Topic, BTreeSet<u64>)>,
    connection: Option<(PubSubSink, PubSubStream)>,
    /// In a row.
    failures: u32,
    /// When to ping, or to try again.
    wake: Instant,
}

impl Task {
    /// Ends when the hub and all subscriptions are gone.
    async fn run(mut self, mut orders: mpsc::UnboundedReceiver<Order>) {
        loop {
            let message = async {
                match &mut self.connection {
                    Some((_, stream)) => stream.next().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                order = orders.recv() => match order {
                    Some(Order::Subscribe(subscriber, reply)) => self.add(subscriber, reply).await,
                    Some(Order::Unsubscribe(id)) => self.remove(id).await,
                    None => return,
                },
                message = message => match message {
                    Some(message) => self.hand_out(&message),
                    None => self.lose("the connection to Redis for events was lost"),
                },
                () = sleep_until(self.wake), if !self.subscribers.is_empty() => self.wake().await,
            }
        }
    }

    async fn add(&mut self, subscriber: Subscriber, reply: oneshot::Sender<Result<()>>) {
        let outcome = self.listen(&subscriber.topics).await;
        if outcome.is_ok() {
            for topic in &subscriber.topics {
                let entry = self.topics.entry(self.channel(topic));
                entry.or_insert_with(|| (topic.clone(), BTreeSet::new())).1.insert(subscriber.id);
            }
            self.subscribers.insert(subscriber.id, subscriber);
        }
        // One that gave up takes its subscription back when it is dropped.
        let _ = reply.send(outcome);
    }

    async fn listen(&mut self, topics: &BTreeSet<Topic>) -> Result<()> {
        if self.connection.is_none() {
            self.connect().await?;
        }
        let new: Vec<_> = topics.iter().map(|topic| self.channel(topic)).collect();
        let new = new.into_iter().filter(|channel| !self.topics.contains_key(channel)).collect();
        let outcome = self.subscribe(new).await;
        if outcome.is_err() {
            self.lose("Redis does not take a subscription");
        }
        outcome
    }

    async fn subscribe(&mut self, channels: Vec<String>) -> Result<()> {
        if channels.is_empty() {
            return Ok(());
        }
        let Some((sink, _)) = &mut self.connection else { return Err(lost()) };
        match timeout(PATIENCE, sink.subscribe(channels)).await {
            Ok(outcome) => outcome.map_err(|error| failed("subscribing to events", error)),
            Err(_) => Err(lost()),
        }
    }

    /// Connects and listens to everything again; subscribers are told of the gap.
    async fn connect(&mut self) -> Result<()> {
        let connect = self.client.get_async_pubsub();
        let connected = timeout(PATIENCE, connect).await.map_err(|_| lost())?;
        let connected =
            connected.map_err(|error: RedisError| failed("connecting to Redis for events", error))?;
        self.connection = Some(connected.split());
        let channels: Vec<_> = self.topics.keys().cloned().collect();
        if let Err(error) = self.subscribe(channels).await {
            self.connection = None;
            return Err(error);
        }
        self.failures = 0;
        self.wake = Instant::now() + PING;
        for subscriber in self.subscribers.values() {
            subscriber.missed.store(true, Ordering::Release);
            // Wakes one that waits; a full backlog wakes it anyway.
            let _ = subscriber.events.try_send(Heard::Gap);
        }
        Ok(())
    }

    async fn wake(&mut self) {
        match &mut self.connection {
            Some((sink, _)) => {
                let pong: std::result::Result<RedisResult, _> = timeout(PATIENCE, sink.ping()).await;
                if matches!(pong, Ok(Ok(_))) {
                    self.wake = Instant::now() + PING;
                } else {
                    self.lose("Redis does not answer on the connection for events");
                }
            }
            None => {
                if let Err(error) = self.connect().await {
                    tracing::debug!(error = &error as &dyn std::error::Error, "Redis is not back yet");
                    self.lose("Redis is not reached for events");
                }
            }
        }
    }

    fn lose(&mut self, why: &str) {
        if self.failures == 0 {
            tracing::warn!("{why}");
        }
        self.connection = None;
        self.failures = self.failures.saturating_add(1);
        self.wake = Instant::now() + BACKOFF.wait(self.failures, &*self.ids);
    }

    fn hand_out(&self, message: &Msg) {
        let Some((topic, subscribers)) = self.topics.get(message.get_channel_name()) else { return };
        // A newer build may tell of what this one does not know.
        let Ok(event) = serde_json::from_slice::<LiveEvent>(message.get_payload_bytes()) else { return };
        for subscriber in subscribers.iter().filter_map(|id| self.subscribers.get(id)) {
            if subscriber.events.try_send(Heard::Event(topic.clone(), event.clone())).is_err() {
                subscriber.missed.store(true, Ordering::Release);
            }
        }
    }

    async fn remove(&mut self, id: u64) {
        let Some(subscriber) = self.subscribers.remove(&id) else { return };
        let mut unused = Vec::new();
        for topic in &subscriber.topics {
            let channel = self.channel(topic);
            if let Some((_, listeners)) = self.topics.get_mut(&channel) {
                listeners.remove(&id);
                if listeners.is_empty() {
                    self.topics.remove(&channel);
                    unused.push(channel);
                }
            }
        }
        if self.subscribers.is_empty() {
            self.connection = None;
        } else if let Some((sink, _)) = self.connection.as_mut().filter(|_| !unused.is_empty())
            && !matches!(timeout(PATIENCE, sink.unsubscribe(unused)).await, Ok(Ok(())))
        {
            self.lose("Redis does not end a subscription");
        }
    }

    fn channel(&self, topic: &Topic) -> String {
        format!("{}:{}", self.prefix, topic.name())
    }
}

type RedisResult = redis::RedisResult<redis::Value>;

fn lost() -> PortError {
    PortError::new(PortErrorKind::Unavailable, "Redis does not answer on the connection for events")
}

struct RedisSubscription {
    id: u64,
    events: mpsc::Receiver<Heard>,
    missed: Arc<AtomicBool>,
    orders: mpsc::UnboundedSender<Order>,
}

#[async_trait]
impl Subscription for RedisSubscription {
    async fn next(&mut self) -> Heard {
        loop {
            if self.missed.swap(false, Ordering::AcqRel) {
                return Heard::Gap;
            }
            match self.events.recv().await {
                // It only wakes: the flag says whether it was told already.
                Some(Heard::Gap) => {}
                Some(heard) => return heard,
                // Only when the runtime ends.
                None => std::future::pending().await,
            }
        }
    }
}

impl Drop for RedisSubscription {
    fn drop(&mut self) {
        // Without its task there is nothing to take back.
        let _ = self.orders.send(Order::Unsubscribe(self.id));
    }
}
