//! Consumers that outlive the loss of their channel, of the broker, and of their queue.

use std::num::NonZeroU16;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use futures_util::StreamExt;
use lapin::Acker;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions, BasicRejectOptions};
use lapin::types::FieldTable;
use lapin::{Channel, message};
use retouch_ports::PortErrorKind;
use retouch_ports::queue::{Consumer, Delivery, Message, QueueKey, Receipt, Result};

use crate::Shared;
use crate::error::{failed, is_gone};
use crate::link::Tries;

/// What is consumed.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    Queue(QueueKey),
    Parking,
}

pub(crate) struct RabbitConsumer {
    shared: Arc<Shared>,
    source: Source,
    prefetch: NonZeroU16,
    open: Option<Open>,
    tries: Tries,
}

/// One life of the consumer: what it delivered can be acknowledged only through its channel.
struct Open {
    consumer: lapin::Consumer,
    channel: Channel,
    gone: Arc<AtomicBool>,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.gone.store(true, Ordering::Release);
        // What is held comes again when the channel is closed; lapin's own closing waits for the last copy.
        let channel = self.channel.clone();
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                if let Err(error) = channel.close(200, "the consumer ended".into()).await {
                    tracing::debug!(
                        error = &error as &dyn std::error::Error,
                        "the channel of a consumer was closed already"
                    );
                }
            });
        }
    }
}

impl RabbitConsumer {
    pub(crate) async fn open(shared: Arc<Shared>, source: Source, prefetch: NonZeroU16) -> Result<Self> {
        let mut consumer = Self { shared, source, prefetch, open: None, tries: Tries::default() };
        consumer.open = Some(consumer.consume().await?);
        Ok(consumer)
    }

    fn name(&self) -> String {
        match &self.source {
            Source::Queue(key) => self.shared.topology.queue(&key.pool, key.band),
            Source::Parking => self.shared.topology.parking(),
        }
    }

    async fn consume(&self) -> Result<Open> {
        let link = &self.shared.consuming;
        let name = self.name();
        let what = format!("consuming queue {name}");
        let channel = link.channel().await?;
        link.ask(&what, channel.basic_qos(self.prefetch.get(), BasicQosOptions::default())).await?;
        let (options, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
        let consume = channel.basic_consume(name.as_str().into(), "".into(), options, arguments);
        let consumer = link.ask(&what, consume).await?;
        Ok(Open { consumer, channel, gone: Arc::default() })
    }

    /// Also makes the queue again: the broker may have come back without its data.
    async fn reopen(&self) -> Result<Open> {
        match &self.source {
            Source::Queue(key) => self.shared.topology.declare(&self.shared.consuming, &key.pool).await?,
            Source::Parking => self.shared.topology.declare_parking(&self.shared.consuming).await?,
        }
        self.consume().await
    }

    /// The message of a delivery; one that this build cannot read is put aside, for another build to read.
    async fn accept(&self, delivery: message::Delivery, gone: &Arc<AtomicBool>) -> Option<Delivery> {
        match Message::decode(&delivery.data) {
            Ok(message) => {
                let receipt = RabbitReceipt { acker: delivery.acker, gone: gone.clone() };
                Some(Delivery::new(message, delivery.redelivered, Box::new(receipt)))
            }
            Err(error) => {
                let done = match self.source {
                    Source::Queue(_) => {
                        tracing::warn!(
                            error = &error as &dyn std::error::Error,
                            queue = self.name(),
                            "a message is put aside"
                        );
                        delivery.acker.reject(BasicRejectOptions { requeue: false }).await
                    }
                    Source::Parking => {
                        tracing::error!(
                            error = &error as &dyn std::error::Error,
                            queue = self.name(),
                            "a message is dropped; its jobs get others"
                        );
                        delivery.acker.ack(BasicAckOptions::default()).await
                    }
                };
                if let Err(error) = done {
                    tracing::debug!(error = &error as &dyn std::error::Error, "the message comes again");
                }
                None
            }
        }
    }
}

#[async_trait]
impl Consumer for RabbitConsumer {
    async fn next(&mut self) -> Result<Delivery> {
        loop {
            let Some(open) = &mut self.open else {
                match self.reopen().await {
                    Ok(open) => {
                        tracing::info!(queue = self.name(), "consuming again");
                        self.open = Some(open);
                        self.tries.reset();
                    }
                    Err(error) if mends_itself(error.kind()) => {
                        tracing::debug!(
                            error = &error as &dyn std::error::Error,
                            "the broker is not back yet"
                        );
                        tokio::time::sleep(self.tries.next(&*self.shared.ids)).await;
                    }
                    Err(error) => return Err(error),
                }
                continue;
            };
            match open.consumer.next().await {
                Some(Ok(delivery)) => {
                    let gone = open.gone.clone();
                    if let Some(delivery) = self.accept(delivery, &gone).await {
                        return Ok(delivery);
                    }
                }
                Some(Err(error)) => {
                    let queue = self.name();
                    tracing::warn!(error = &error as &dyn std::error::Error, queue, "a consumer was lost");
                    self.open = None;
                }
                None => {
                    tracing::warn!(queue = self.name(), "a consumer was canceled by the broker");
                    self.open = None;
                }
            }
        }
    }
}

/// A broker that starts misses queues whose leader is not elected yet, and fails in other ways of its own.
fn mends_itself(kind: PortErrorKind) -> bool {
    kind.is_transient() || matches!(kind, PortErrorKind::NotFound | PortErrorKind::Internal)
}

struct RabbitReceipt {
    acker: Acker,
    gone: Arc<AtomicBool>,
}

#[async_trait]
impl Receipt for RabbitReceipt {
    async fn ack(self: Box<Self>) -> Result<bool> {
        if self.gone.load(Ordering::Acquire) {
            return Ok(false);
        }
        match self.acker.ack(BasicAckOptions::default()).await {
            Ok(sent) => Ok(sent),
            Err(error) if is_gone(&error) => Ok(false),
            Err(error) => Err(failed("acknowledging a message", error)),
        }
    }
}
