//! Sending messages and learning what became of each.
//!
//! lapin answers an unroutable message with `Ack(Some(returned))`, and hands the returned message to whichever
//! acknowledgement comes next on the channel, not to its own. So each call has a channel to itself while it runs, and
//! finds the returned ones by the number that each message carries.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesOrdered;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Channel, Confirmation};
use retouch_domain::Pool;
use retouch_ports::queue::{Message, Published, Result};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::link::Link;
use crate::topology::Topology;

/// Messages that wait for their confirmation at a time.
const WINDOW: usize = 4096;
/// Calls at a time; each has a channel.
const CALLS: usize = 32;
/// A broker that is short of memory or disk stops confirming.
const PATIENCE: Duration = Duration::from_secs(30);
/// Stored on disk, as each replica of a quorum queue does anyway.
const PERSISTENT: u8 = 2;

pub(crate) struct Publisher {
    link: Link,
    calls: Semaphore,
    /// In confirm mode, and without anything under way.
    idle: Mutex<Vec<Channel>>,
}

impl Publisher {
    pub(crate) fn new(link: Link) -> Self {
        Self { link, calls: Semaphore::new(CALLS), idle: Mutex::default() }
    }

    pub(crate) async fn publish(
        &self,
        topology: &Topology,
        pool: &Pool,
        messages: &[Message],
    ) -> Result<Vec<Published>> {
        if messages.is_empty() {
            return Ok(Vec::new());
        }
        let _permit = self.calls.acquire().await.expect("the semaphore is never closed");
        let channel = self.channel().await?;
        let mut call =
            Call { channel, outcomes: Vec::with_capacity(messages.len()), returned: BTreeSet::new() };
        // A call that is given up here drops its channel, and nobody else meets its confirmations.
        let whole = call.run(topology, pool, messages).await;
        for index in &call.returned {
            if let Some(outcome) = call.outcomes.get_mut(*index) {
                *outcome = Published::Returned;
            }
        }
        if whole {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(call.channel);
        }
        Ok(call.outcomes)
    }

    async fn channel(&self) -> Result<Channel> {
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        while let Some(channel) = idle() {
            if channel.status().connected() {
                return Ok(channel);
            }
        }
        let channel = self.link.channel().await?;
        let select = channel.confirm_select(ConfirmSelectOptions::default());
        self.link.ask("asking the broker for confirmations", select).await?;
        Ok(channel)
    }
}

/// One call of [`Publisher::publish`].
struct Call {
    channel: Channel,
    outcomes: Vec<Published>,
    /// The numbers of the messages that came back.
    returned: BTreeSet<usize>,
}

impl Call {
    /// Fills in an outcome for every message; whether the channel is still fit for use.
    async fn run(&mut self, topology: &Topology, pool: &Pool, messages: &[Message]) -> bool {
        let mut confirms = FuturesOrdered::new();
        let mut sent = 0;
        let mut whole = true;
        for (index, message) in messages.iter().enumerate() {
            let properties = BasicProperties::default()
                .with_delivery_mode(PERSISTENT)
                .with_content_type("application/json".into())
                .with_message_id(index.to_string().as_str().into());
            let queue = topology.queue(pool, message.band());
            let options = BasicPublishOptions { mandatory: true, immediate: false };
            let body = message.encode();
            let publish =
                self.channel.basic_publish("".into(), queue.as_str().into(), options, &body, properties);
            match timeout(PATIENCE, publish).await {
                Ok(Ok(confirm)) => confirms.push_back(timeout(PATIENCE, confirm)),
                Ok(Err(error)) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "the broker was lost while tickets were sent"
                    );
                    whole = false;
                    break;
                }
                Err(_) => {
                    tracing::warn!("the broker takes no messages: it may be short of memory or disk");
                    whole = false;
                    break;
                }
            }
            sent += 1;
            if confirms.len() >= WINDOW
                && let Some(confirm) = confirms.next().await
            {
                whole &= self.note(confirm);
            }
        }
        while let Some(confirm) = confirms.next().await {
            whole &= self.note(confirm);
        }
        // The one that failed may have been written in part; a broker drops half a message.
        self.outcomes.extend(std::iter::repeat_n(Published::Refused, messages.len() - sent));
        whole
    }

    fn note(
        &mut self,
        confirm: std::result::Result<lapin::Result<Confirmation>, tokio::time::error::Elapsed>,
    ) -> bool {
        let (outcome, returned) = match confirm {
            Ok(Ok(Confirmation::Ack(returned))) => (Published::Confirmed, returned),
            Ok(Ok(Confirmation::Nack(returned))) => (Published::Refused, returned),
            Ok(Ok(Confirmation::NotRequested) | Err(_)) | Err(_) => (Published::Unknown, None),
        };
        self.outcomes.push(outcome);
        if let Some(returned) = returned {
            let id = returned.properties.message_id().as_ref().map(|id| id.to_string());
            self.returned.extend(id.and_then(|id| id.parse::<usize>().ok()));
        }
        outcome != Published::Unknown
    }
}
