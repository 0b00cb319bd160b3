//! The queues: their names, their settings, and how they are asked for.

use lapin::Channel;
use lapin::options::QueueDeclareOptions;
use lapin::types::{AMQPValue, FieldTable, ShortString};
use retouch_domain::{Band, Pool};
use retouch_ports::queue::{Depth, QueueKey, REDELIVERY_LIMIT, Result};
use retouch_ports::{PortError, PortErrorKind};

use crate::link::Link;

/// RabbitMQ's names have at most 255 bytes.
const MAX_PREFIX_BYTES: usize = 100;

pub(crate) struct Topology {
    prefix: String,
}

impl Topology {
    pub(crate) fn new(prefix: &str) -> Result<Self> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
        if prefix.is_empty() || prefix.len() > MAX_PREFIX_BYTES || !prefix.bytes().all(plain) {
            let text = format!(
                "{prefix:?} is no prefix for queues: use 1 to {MAX_PREFIX_BYTES} of A-Z, a-z, 0-9, '_', '-' and '.'"
            );
            return Err(PortError::new(PortErrorKind::Invalid, text));
        }
        Ok(Self { prefix: prefix.to_owned() })
    }

    pub(crate) fn queue(&self, pool: &Pool, band: Band) -> String {
        format!("{}.{pool}.{}", self.prefix, band.code())
    }

    pub(crate) fn parking(&self) -> String {
        format!("{}.parking", self.prefix)
    }

    /// Makes the queues of a pool where they are not there.
    pub(crate) async fn declare(&self, link: &Link, pool: &Pool) -> Result<()> {
        // First: a queue that dead-letters to a missing one keeps what it cannot pass on.
        let channel = link.channel().await?;
        declare(link, &channel, &self.parking(), quorum()).await?;
        for band in Band::ALL {
            let mut arguments = quorum();
            arguments.insert("x-delivery-limit".into(), AMQPValue::LongInt(REDELIVERY_LIMIT as i32));
            arguments.insert("x-dead-letter-exchange".into(), text(""));
            arguments.insert("x-dead-letter-routing-key".into(), text(&self.parking()));
            arguments.insert("x-dead-letter-strategy".into(), text("at-least-once"));
            // At least once needs it; there is no limit of length that it could act on.
            arguments.insert("x-overflow".into(), text("reject-publish"));
            declare(link, &channel, &self.queue(pool, band), arguments).await?;
        }
        Ok(())
    }

    pub(crate) async fn declare_parking(&self, link: &Link) -> Result<()> {
        let channel = link.channel().await?;
        declare(link, &channel, &self.parking(), quorum()).await
    }

    pub(crate) async fn depth(&self, link: &Link, queue: &QueueKey) -> Result<Option<Depth>> {
        let name = self.queue(&queue.pool, queue.band);
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        // Of its own, for a missing queue closes the channel that asked.
        let channel = link.channel().await?;
        let declare = channel.queue_declare(name.as_str().into(), options, FieldTable::default());
        match link.ask(&format!("asking for queue {name}"), declare).await {
            Ok(found) => Ok(Some(Depth {
                ready: u64::from(found.message_count()),
                consumers: u64::from(found.consumer_count()),
            })),
            Err(error) if error.kind() == PortErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn quorum() -> FieldTable {
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), text("quorum"));
    arguments
}

fn text(value: &str) -> AMQPValue {
    AMQPValue::LongString(value.into())
}

async fn declare(link: &Link, channel: &Channel, name: &str, arguments: FieldTable) -> Result<()> {
    let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    let declare = channel.queue_declare(ShortString::from(name), options, arguments);
    link.ask(&format!("declaring queue {name}"), declare).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_of_prefix_pool_and_band() {
        let topology = Topology::new("retouch").unwrap();
        assert_eq!(topology.queue(&"gpu".parse().unwrap(), Band::Bulk), "retouch.gpu.bulk");
        for bad in ["", "a b", &"x".repeat(101)] {
            assert_eq!(Topology::new(bad).err().unwrap().kind(), PortErrorKind::Invalid);
        }
    }
}
