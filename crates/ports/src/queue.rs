//! The broker that tells workers of jobs: small messages that name jobs, confirmed when sent, held until acknowledged.
//!
//! A queue carries hints. The job store is the truth, and a message that is lost or doubled is harmless there. There is
//! no port for leases beside it: a claim is a statement of the store, on the database's clock, and what a broker says of
//! a worker (a redelivery) is never proof of its death.
//!
//! A queue is shallow: the scheduler fills it to a few times the slots of the live workers, so order is decided in the
//! database and nothing here has priorities.

use std::fmt;
use std::num::NonZeroU16;

use async_trait::async_trait;
use retouch_domain::{Band, JobId, Pool, TenantId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::store::Ticket;
use crate::{PortError, PortErrorKind};

/// The most jobs of one message.
pub const MAX_JOBS: usize = 64;
/// How often a message may come again because nobody acknowledged it; after that it is parked.
pub const REDELIVERY_LIMIT: u32 = 20;
/// The version of the message that this build writes. It reads this one only.
const VERSION: u8 = 1;

/// What every method returns.
pub type Result<T> = std::result::Result<T, PortError>;

/// Which queue: one for each pool and band.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QueueKey {
    /// The workers that read it.
    pub pool: Pool,
    /// The priority class of its jobs.
    pub band: Band,
}

impl fmt::Display for QueueKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.pool, self.band.code())
    }
}

/// A job that a message names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NamedJob {
    /// The job.
    pub job: JobId,
    /// Its epoch when the message was made.
    pub epoch: u32,
}

/// 1 to [`MAX_JOBS`] jobs of one tenant that are in one queue.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Message {
    tenant: TenantId,
    band: Band,
    jobs: Vec<NamedJob>,
}

impl Message {
    /// A message, or why it cannot be one.
    pub fn new(tenant: TenantId, band: Band, jobs: Vec<NamedJob>) -> Result<Self> {
        if jobs.is_empty() || jobs.len() > MAX_JOBS {
            let text = format!("a message names 1 to {MAX_JOBS} jobs, not {}", jobs.len());
            return Err(PortError::new(PortErrorKind::Invalid, text));
        }
        Ok(Self { tenant, band, jobs })
    }

    /// The message of one ticket.
    pub fn single(ticket: &Ticket) -> Self {
        let Ticket { job, tenant, epoch, band } = *ticket;
        Self { tenant, band, jobs: vec![NamedJob { job, epoch }] }
    }

    /// The tickets that it carries, as the store takes them.
    pub fn tickets(&self) -> impl ExactSizeIterator<Item = Ticket> {
        let (tenant, band) = (self.tenant, self.band);
        self.jobs.iter().map(move |named| Ticket { job: named.job, tenant, epoch: named.epoch, band })
    }

    /// The owner of the jobs.
    pub const fn tenant(&self) -> TenantId {
        self.tenant
    }

    /// The band whose queue it is in.
    pub const fn band(&self) -> Band {
        self.band
    }

    /// The jobs, at least one.
    pub fn jobs(&self) -> &[NamedJob] {
        &self.jobs
    }

    /// The message as JSON, at most 100 bytes for one job of an epoch below 10,000.
    pub fn encode(&self) -> Vec<u8> {
        let jobs =
            self.jobs.iter().map(|named| (named.job.uuid().simple().to_string(), named.epoch)).collect();
        let band = u8::try_from(self.band.rank()).expect("there are three bands");
        let wire = Wire { v: VERSION, b: band, t: self.tenant.uuid().simple().to_string(), j: jobs };
        serde_json::to_vec(&wire).expect("numbers and strings are JSON")
    }

    /// The message that [`Self::encode`] wrote; an error for other versions and for what is no message.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let invalid = |text: String| PortError::new(PortErrorKind::Invalid, text);
        let version: Version = serde_json::from_slice(bytes).map_err(|error| {
            invalid("a message in the queue is no JSON object with a version".to_owned()).with_source(error)
        })?;
        if version.v != u64::from(VERSION) {
            let text = format!(
                "a message in the queue is of version {}, and this build reads version {VERSION}; it is for another build",
                version.v
            );
            return Err(PortError::new(PortErrorKind::Incompatible, text));
        }
        let wire: Wire = serde_json::from_slice(bytes).map_err(|error| {
            invalid("a message in the queue lacks fields of its version".to_owned()).with_source(error)
        })?;
        let uuid = |text: &str| {
            Uuid::try_parse(text)
                .map_err(|error| invalid(format!("{text:?} in a message is no id")).with_source(error))
        };
        let band = Band::ALL.get(usize::from(wire.b)).copied();
        let band = band.ok_or_else(|| invalid(format!("{} in a message is no band", wire.b)))?;
        let jobs =
            wire.j.iter().map(|(job, epoch)| Ok(NamedJob { job: JobId::new(uuid(job)?), epoch: *epoch }));
        Self::new(TenantId::new(uuid(&wire.t)?), band, jobs.collect::<Result<_>>()?)
    }
}

#[derive(Deserialize)]
struct Version {
    v: u64,
}

/// Keys of one letter keep a message in one small frame.
#[derive(Serialize, Deserialize)]
struct Wire {
    v: u8,
    b: u8,
    t: String,
    j: Vec<(String, u32)>,
}

/// What became of a message that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Published {
    /// The broker has it on disk.
    Confirmed,
    /// There is no such queue; [`JobQueue::declare`] makes it.
    Returned,
    /// The broker does not have it: it refused it, or was lost before it was sent.
    Refused,
    /// The connection broke before the confirmation: the message may be there or not.
    Unknown,
}

/// What a queue holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Depth {
    /// Messages that no consumer has.
    pub ready: u64,
    /// Consumers.
    pub consumers: u64,
}

/// The queues of a broker, as `Arc<dyn JobQueue>`.
#[async_trait]
pub trait JobQueue: Send + Sync {
    /// Makes the queues of a pool, one for each band, and the one for parked messages, where they are not there.
    async fn declare(&self, pool: &Pool) -> Result<()>;

    /// Sends messages to the pool's queues, each by its band, and waits for all confirmations. Answers for each message,
    /// in their order. An error means that none was sent.
    async fn publish(&self, pool: &Pool, messages: &[Message]) -> Result<Vec<Published>>;

    /// A consumer that holds up to `prefetch` messages at a time. Made once and kept: brokers pay for coming and going.
    async fn consume(&self, queue: &QueueKey, prefetch: NonZeroU16) -> Result<Box<dyn Consumer>>;

    /// A consumer of the messages that were delivered more than [`REDELIVERY_LIMIT`] times again.
    async fn consume_parked(&self, prefetch: NonZeroU16) -> Result<Box<dyn Consumer>>;

    /// What the queue holds, without touching it; `None` if there is no such queue.
    async fn depth(&self, queue: &QueueKey) -> Result<Option<Depth>>;

    /// Whether the broker answers, for health checks.
    async fn check(&self) -> Result<()>;
}

/// Messages of one queue, one after the other.
#[async_trait]
pub trait Consumer: Send {
    /// The next message. Waits through restarts of the broker, after which what was held comes again. An error is one
    /// that waiting does not mend, such as refused credentials; the call may be repeated after it.
    ///
    /// Cancel safe: no message is lost with a call that is given up.
    async fn next(&mut self) -> Result<Delivery>;
}

/// A message that is held. Dropping it without [`Self::ack`] keeps it held until its consumer ends.
pub struct Delivery {
    /// What it says.
    pub message: Message,
    /// Whether it was delivered before: a hint that somebody may have died.
    pub redelivered: bool,
    receipt: Box<dyn Receipt>,
}

impl Delivery {
    /// A delivery that `receipt` acknowledges.
    pub fn new(message: Message, redelivered: bool, receipt: Box<dyn Receipt>) -> Self {
        Self { message, redelivered, receipt }
    }

    /// Removes the message from the queue. `false` if the connection that delivered it is gone: then it comes again,
    /// and the acknowledgement went nowhere.
    pub async fn ack(self) -> Result<bool> {
        self.receipt.ack().await
    }
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Delivery");
        debug.field("message", &self.message).field("redelivered", &self.redelivered).finish_non_exhaustive()
    }
}

/// An adapter's way to acknowledge, bound to the connection that delivered.
#[async_trait]
pub trait Receipt: Send + Sync {
    /// See [`Delivery::ack`].
    async fn ack(self: Box<Self>) -> Result<bool>;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(count: usize, epoch: u32) -> Message {
        let job = |n| NamedJob { job: JobId::new(Uuid::from_u128(u128::MAX - n as u128)), epoch };
        Message::new(TenantId::new(Uuid::from_u128(7)), Band::Bulk, (0..count).map(job).collect()).unwrap()
    }

    #[test]
    fn a_message_reads_what_it_wrote_and_is_small() {
        for count in [1, 2, MAX_JOBS] {
            let message = message(count, 9999);
            assert_eq!(Message::decode(&message.encode()).unwrap(), message);
        }
        assert!(message(1, 9999).encode().len() <= 100, "{}", message(1, 9999).encode().len());
        assert_eq!(
            String::from_utf8(message(1, 3).encode()).unwrap(),
            r#"{"v":1,"b":2,"t":"00000000000000000000000000000007","j":[["ffffffffffffffffffffffffffffffff",3]]}"#
        );
    }

    #[test]
    fn a_message_carries_tickets() {
        let message = message(3, 5);
        let tickets: Vec<Ticket> = message.tickets().collect();
        assert_eq!(tickets.len(), 3);
        assert_eq!(Message::single(&tickets[1]).tickets().collect::<Vec<_>>(), [tickets[1]]);
    }

    #[test]
    fn what_is_no_message_is_told_from_another_version() {
        let kind = |text: &str| Message::decode(text.as_bytes()).unwrap_err().kind();
        assert_eq!(kind(r#"{"v":2,"anything":[]}"#), PortErrorKind::Incompatible);
        for text in ["", "{}", "[1]", r#"{"v":1}"#, r#"{"v":1,"b":3,"t":"7","j":[]}"#, "\u{0}"] {
            assert_eq!(kind(text), PortErrorKind::Invalid, "{text}");
        }
        let none = r#"{"v":1,"b":0,"t":"00000000000000000000000000000007","j":[]}"#;
        assert_eq!(kind(none), PortErrorKind::Invalid);
    }
}
