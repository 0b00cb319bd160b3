//! Queues for a test, and the broker without the adapter.

use std::sync::Arc;

use lapin::options::QueueDeleteOptions;
use lapin::{Channel, Connection, ConnectionProperties};
use retouch_ports::SystemIds;
use retouch_queue_rabbitmq::RabbitQueue;
use retouch_testkit::case::server_url;
use retouch_testkit::queue::unique;

pub(crate) fn url() -> String {
    server_url("RETOUCH_TEST_RABBITMQ")
}

pub(crate) async fn connect(url: &str, prefix: &str) -> RabbitQueue {
    RabbitQueue::connect(url, prefix, Arc::new(SystemIds)).await.unwrap()
}

/// Queues that no other test has, and their prefix.
pub(crate) async fn fresh(url: &str) -> (RabbitQueue, String) {
    let prefix = unique("test");
    (connect(url, &prefix).await, prefix)
}

/// A connection that the adapter knows nothing of.
pub(crate) struct Raw {
    _connection: Connection,
    pub(crate) channel: Channel,
}

impl Raw {
    pub(crate) async fn connect(url: &str) -> Self {
        let connection = Connection::connect(url, ConnectionProperties::default()).await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        Self { _connection: connection, channel }
    }

    pub(crate) async fn delete(&self, queue: &str) {
        self.channel.queue_delete(queue.into(), QueueDeleteOptions::default()).await.unwrap();
    }
}
