//! The job queue on RabbitMQ 3.10 or newer.
//!
//! One durable quorum queue for each pool and band, `PREFIX.POOL.BAND`, and one for parked messages, `PREFIX.parking`, to
//! which the others dead-letter at least once what came again more than 20 times. Messages go through the default
//! exchange, so there are no bindings to lose. Publishing and consuming have a connection each, since a broker that is
//! short of memory or disk stops reading from connections that publish; each consumer has a channel of its own, since a
//! broker closes a channel for one delivery that is held too long.
//!
//! Connections are made anew here (`link.rs`) and not by lapin, whose own recovery does not outlive a restart of
//! the broker; with each the queues are declared again, for a broker may come back without its data.

mod consumer;
mod error;
mod link;
mod publish;
mod topology;

use std::num::NonZeroU16;
use std::sync::Arc;

use async_trait::async_trait;
use retouch_domain::Pool;
use retouch_ports::Ids;
use retouch_ports::queue::{Consumer, Depth, JobQueue, Message, Published, QueueKey, Result};

use crate::consumer::{RabbitConsumer, Source};
use crate::link::Link;
use crate::publish::Publisher;
use crate::topology::Topology;

/// The queues of one broker. Clones share the connections.
#[derive(Clone)]
pub struct RabbitQueue {
    shared: Arc<Shared>,
}

/// What consumers share with the queue they came from.
struct Shared {
    topology: Topology,
    consuming: Link,
    publisher: Publisher,
    ids: Arc<dyn Ids>,
}

impl RabbitQueue {
    /// Connects to the broker at `url` (`amqp://` or `amqps://`). Queues of other prefixes are not touched.
    pub async fn connect(url: &str, prefix: &str, ids: Arc<dyn Ids>) -> Result<Self> {
        let topology = Topology::new(prefix)?;
        let consuming = Link::new(url, "retouch consume")?;
        let publisher = Publisher::new(Link::new(url, "retouch publish")?);
        consuming.connection().await?;
        Ok(Self { shared: Arc::new(Shared { topology, consuming, publisher, ids }) })
    }

    async fn consumer(&self, source: Source, prefetch: NonZeroU16) -> Result<Box<dyn Consumer>> {
        Ok(Box::new(RabbitConsumer::open(self.shared.clone(), source, prefetch).await?))
    }
}

#[async_trait]
impl JobQueue for RabbitQueue {
    async fn declare(&self, pool: &Pool) -> Result<()> {
        self.shared.topology.declare(&self.shared.consuming, pool).await
    }

    async fn publish(&self, pool: &Pool, messages: &[Message]) -> Result<Vec<Published>> {
        self.shared.publisher.publish(&self.shared.topology, pool, messages).await
    }

    async fn consume(&self, queue: &QueueKey, prefetch: NonZeroU16) -> Result<Box<dyn Consumer>> {
        self.consumer(Source::Queue(queue.clone()), prefetch).await
    }

    async fn consume_parked(&self, prefetch: NonZeroU16) -> Result<Box<dyn Consumer>> {
        self.shared.topology.declare_parking(&self.shared.consuming).await?;
        self.consumer(Source::Parking, prefetch).await
    }

    async fn depth(&self, queue: &QueueKey) -> Result<Option<Depth>> {
        self.shared.topology.depth(&self.shared.consuming, queue).await
    }

    async fn check(&self) -> Result<()> {
        self.shared.consuming.channel().await.map(drop)
    }
}
