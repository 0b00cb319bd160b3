//! What every [`JobQueue`] does.

use std::collections::BTreeMap;
use std::num::NonZeroU16;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::join_all;
use retouch_domain::{Band, JobId, Pool, TenantId};
use retouch_ports::queue::{
    Consumer, Depth, JobQueue, MAX_JOBS, Message, NamedJob, Published, QueueKey, REDELIVERY_LIMIT,
};
use retouch_ports::{Ids, PortErrorKind, SystemIds};
use tokio::sync::Mutex;

use crate::case::{case, eventually, soon};

/// The pool of the cases.
pub fn pool() -> Pool {
    "gpu".parse().expect("a name")
}

/// A queue of [`pool`].
pub fn key(band: Band) -> QueueKey {
    QueueKey { pool: pool(), band }
}

/// A message of one job, which `n` tells apart.
pub fn message(band: Band, n: u32) -> Message {
    bulk(band, &[n])
}

/// A message of several jobs.
pub fn bulk(band: Band, numbers: &[u32]) -> Message {
    let job = |n: &u32| NamedJob { job: JobId::new(uuid(*n)), epoch: *n };
    let tenant = TenantId::new(uuid(7));
    Message::new(tenant, band, numbers.iter().map(job).collect()).expect("a few jobs")
}

fn uuid(n: u32) -> uuid::Uuid {
    uuid::Uuid::from_u128(u128::from(n))
}

/// A name that no other test has.
pub fn unique(prefix: &str) -> String {
    format!("{prefix}-{}", SystemIds.uuid().simple())
}

/// What a consumer may hold.
pub fn holding(prefetch: u16) -> NonZeroU16 {
    NonZeroU16::new(prefetch).expect("above 0")
}

/// Sends messages that must all be confirmed.
pub async fn send(queue: &dyn JobQueue, messages: &[Message]) {
    let outcomes = soon(queue.publish(&pool(), messages)).await.expect("publishing");
    assert_eq!(outcomes, vec![Published::Confirmed; messages.len()]);
}

/// The number of the next message, which is acknowledged.
pub async fn take(consumer: &mut Box<dyn Consumer>) -> u32 {
    let delivery = soon(consumer.next()).await.expect("a delivery");
    let number = delivery.message.jobs()[0].epoch;
    assert!(delivery.ack().await.expect("acknowledging"));
    number
}

/// Runs every case, each on a broker of its own that `fresh` gives.
pub async fn suite(fresh: impl AsyncFn() -> Arc<dyn JobQueue>) {
    case("messages come in order, once, and are gone when acknowledged", in_order(fresh().await)).await;
    case("a bulk message comes whole", bulk_comes_whole(fresh().await)).await;
    case("bands do not mix", bands_do_not_mix(fresh().await)).await;
    case("a message to a missing queue is returned", returned(fresh().await)).await;
    case("a missing queue is told", missing(fresh().await)).await;
    case("declaring again keeps what is there", declare_again(fresh().await)).await;
    case("a consumer holds no more than it may", prefetch(fresh().await)).await;
    case("what a lost consumer held comes again", crash_before_ack(fresh().await)).await;
    case("a message sent twice comes twice", duplicates(fresh().await)).await;
    case("consumers share the messages", concurrent_consumers(fresh().await)).await;
    case("thousands are confirmed at once", many(fresh().await)).await;
    case("giving up a call loses nothing", cancel_safe(fresh().await)).await;
    case("a message that kills its consumers is parked", parked(fresh().await)).await;
    case("a healthy broker says so", async { soon(fresh().await.check()).await.expect("healthy") }).await;
}

async fn in_order(queue: Arc<dyn JobQueue>) {
    queue.declare(&pool()).await.expect("declaring");
    let messages: Vec<_> = (0..100).map(|n| message(Band::Standard, n)).collect();
    send(&*queue, &messages).await;
    let mut consumer = queue.consume(&key(Band::Standard), holding(10)).await.expect("a consumer");
    for message in &messages {
        let delivery = soon(consumer.next()).await.expect("a delivery");
        assert_eq!((&delivery.message, delivery.redelivered), (message, false));
        assert!(delivery.ack().await.expect("acknowledging"));
    }
    eventually(async || depth(&*queue, Band::Standard).await == Depth { ready: 0, consumers: 1 }).await;
}

async fn depth(queue: &dyn JobQueue, band: Band) -> Depth {
    queue.depth(&key(band)).await.expect("a depth").expect("a queue")
}

async fn bulk_comes_whole(queue: Arc<dyn JobQueue>) {
    queue.declare(&pool()).await.expect("declaring");
    let numbers: Vec<u32> = (0..MAX_JOBS as u32).collect();
    send(&*queue, &[bulk(Band::Bulk, &numbers)]).await;
    let mut consumer = queue.consume(&key(Band::Bulk), holding(1)).await.expect("a consumer");
    let delivery = soon(consumer.next()).await.expect("a delivery");
    assert_eq!(delivery.message, bulk(Band::Bulk, &numbers));
    assert!(delivery.ack().await.expect("acknowledging"));
}

async fn bands_do_not_mix(queue: Arc<dyn JobQueue>) {
    queue.declare(&pool()).await.expect("declaring");
    send(&*queue, &[message(Band::Bulk, 1), message(Band::Interactive, 2), message(Band::Bulk, 3)]).await;
    let mut interactive = queue.consume(&key(Band::Interactive), holding(5)).await.expect("a consumer");
    let mut bulk = queue.consume(&key(Band::Bulk), holding(5)).await.expect("a consumer");
    assert_eq!(take(&mut interactive).await, 2);
    assert_eq!([take(&mut bulk).await, take(&mut bulk).await], [1, 3]);
}

async fn returned(queue: Arc<dyn JobQueue>) {
    let messages = [message(Band::Bulk, 1), message(Band::Standard, 2)];
    let outcomes = soon(queue.publish(&pool(), &messages)).await.expect("publishing");
    assert_eq!(outcomes, [Published::Returned; 2]);
    // The broker is still fit for use.
    queue.declare(&pool()).await.expect("declaring");
    send(&*queue, &messages).await;
    assert_eq!(soon(queue.publish(&pool(), &[])).await.expect("publishing nothing"), []);
}

async fn missing(queue: Arc<dyn JobQueue>) {
    assert_eq!(soon(queue.depth(&key(Band::Bulk))).await.expect("a depth"), None);
    let outcome = soon(queue.consume(&key(Band::Bulk), holding(1))).await;
    assert_eq!(outcome.err().expect("no consumer").kind(), PortErrorKind::NotFound);
    queue.declare(&pool()).await.expect("declaring");
    eventually(async || depth(&*queue, Band::Bulk).await == Depth { ready: 0, consumers: 0 }).await;
}

async fn declare_again(queue: Arc<dyn JobQueue>) {
    queue.declare(&pool()).await.expect("declaring");
    send(&*queue, &[message(Band::Bulk, 1)]).await;
    queue.declare(&pool()).await.expect("declaring again");
    let mut consumer = queue.consume(&key(Band::Bulk), holding(1)).await.expect("a consumer");
    assert_eq!(take(&mut consumer).await, 1);
}

async fn prefetch(queue: Arc<dyn JobQueue>) {
    queue.declare(&pool()).await.expect("declaring");
    send(&*queue, &[0, 1, 2].map(|n| message(Band::Bulk, n))).await;
    let mut consumer = queue.consume(&key(Band::Bulk), holding(2)).await.expect("a consumer");
    let first = soon(consumer.next()).await.expect("a delivery");
    let second = soon(consumer.next()).await.expect("a delivery");
    eventually(async || depth(&*queue, Band::Bulk).await.ready == 1).await;
    assert!(consumer.next().now_or_never().is_none());
    // Another consumer is not kept from the third.
    let mut other = queue.consume(&key(Band::Bulk), holding(1)).await.expect("a consumer");
    assert_eq!(take(&mut other).await, 2);
    assert!(first.ack().await.expect("acknowledging") && second.ack().await.expect("acknowledging"));
}

async fn crash_before_ack(queue: Arc<dyn JobQueue>) {
    queue.declare(&pool()).await.expect("declaring");
    send(&*queue, &[0, 1, 2].map(|n| message(Band::Bulk, n))).await;
    let mut consumer = queue.consume(&key(Band::Bulk), holding(3)).await.expect("a consumer");
    let held = [
        soon(consumer.next()).await.expect("a delivery"),
        soon(consumer.next()).await.expect("a delivery"),
        soon(consumer.next()).await.expect("a delivery"),
    ];
    let [first, second, third] = held;
    assert!(second.ack().await.expect("acknowledging"));
    drop(consumer);
    let mut next = queue.consume(&key(Band::Bulk), holding(3)).await.expect("a consumer");
    for n in [0, 2] {
        let delivery = soon(next.next()).await.expect("a delivery");
        assert_eq!((delivery.message.jobs()[0].epoch, delivery.redelivered), (n, true));
        assert!(delivery.ack().await.expect("acknowledging"));
    }
    // The lost consumer's deliveries acknowledge nothing.
    for late in [first, third] {
        assert!(!late.ack().await.expect("a late acknowledgement"));
    }
}

async fn duplicates(queue: Arc<dyn JobQueue>) {
    queue.declare(&pool()).await.expect("declaring");
    send(&*queue, &[5, 5].map(|n| message(Band::Bulk, n))).await;
    let mut consumer = queue.consume(&key(Band::Bulk), holding(2)).await.expect("a consumer");
    assert_eq!([take(&mut consumer).await, take(&mut consumer).await], [5, 5]);
}

async fn concurrent_consumers(queue: Arc<dyn JobQueue>) {
    const MESSAGES: u32 = 200;
    queue.declare(&pool()).await.expect("declaring");
    let seen = Mutex::new(BTreeMap::<u32, u32>::new());
    let work = async |mut consumer: Box<dyn Consumer>| {
        while seen.lock().await.len() < MESSAGES as usize {
            let next = tokio::time::timeout(std::time::Duration::from_millis(20), consumer.next()).await;
            let Ok(delivery) = next else { continue };
            let delivery = delivery.expect("a delivery");
            *seen.lock().await.entry(delivery.message.jobs()[0].epoch).or_default() += 1;
            assert!(delivery.ack().await.expect("acknowledging"));
        }
    };
    let mut consumers = Vec::new();
    for _ in 0..4 {
        consumers.push(queue.consume(&key(Band::Bulk), holding(3)).await.expect("a consumer"));
    }
    let messages: Vec<_> = (0..MESSAGES).map(|n| message(Band::Bulk, n)).collect();
    tokio::join!(send(&*queue, &messages), join_all(consumers.into_iter().map(work)));
    assert!(seen.into_inner().into_iter().eq((0..MESSAGES).map(|n| (n, 1))));
}

async fn many(queue: Arc<dyn JobQueue>) {
    queue.declare(&pool()).await.expect("declaring");
    let messages: Vec<_> = (0..5_000).map(|n| message(Band::Bulk, n)).collect();
    send(&*queue, &messages).await;
    eventually(async || depth(&*queue, Band::Bulk).await.ready == 5_000).await;
}

async fn cancel_safe(queue: Arc<dyn JobQueue>) {
    queue.declare(&pool()).await.expect("declaring");
    let mut consumer = queue.consume(&key(Band::Bulk), holding(1)).await.expect("a consumer");
    for n in 0..20 {
        // Given up while the message is on its way.
        let mut next = Box::pin(consumer.next());
        assert!((&mut next).now_or_never().is_none());
        send(&*queue, &[message(Band::Bulk, n)]).await;
        drop(next);
        assert_eq!(take(&mut consumer).await, n);
    }
}

async fn parked(queue: Arc<dyn JobQueue>) {
    queue.declare(&pool()).await.expect("declaring");
    send(&*queue, &[message(Band::Bulk, 6)]).await;
    for run in 0..=REDELIVERY_LIMIT {
        let mut consumer = queue.consume(&key(Band::Bulk), holding(1)).await.expect("a consumer");
        let delivery = soon(consumer.next()).await.expect("a delivery");
        assert_eq!(delivery.redelivered, run > 0);
    }
    let mut parked = queue.consume_parked(holding(10)).await.expect("a consumer");
    let delivery = soon(parked.next()).await.expect("a parked message");
    assert_eq!(delivery.message, message(Band::Bulk, 6));
    assert!(delivery.ack().await.expect("acknowledging"));
    eventually(async || depth(&*queue, Band::Bulk).await == Depth { ready: 0, consumers: 0 }).await;
}
