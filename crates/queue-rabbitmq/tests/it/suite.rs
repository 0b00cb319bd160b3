//! The suite, and what differs from a queue in the process.

use std::sync::Arc;

use lapin::BasicProperties;
use lapin::options::{BasicPublishOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use retouch_domain::Band;
use retouch_ports::queue::{JobQueue, Published};
use retouch_ports::{PortErrorKind, SystemIds};
use retouch_queue_rabbitmq::RabbitQueue;
use retouch_testkit::case::{eventually, soon};
use retouch_testkit::queue::{holding, key, message, pool, send, suite, take};

use crate::broker::{Raw, fresh, url};

#[tokio::test(flavor = "multi_thread")]
async fn the_suite() {
    let url = url();
    suite(async || Arc::new(fresh(&url).await.0) as Arc<dyn JobQueue>).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn returned_messages_are_told_from_confirmed_ones() {
    let url = url();
    let (queue, prefix) = fresh(&url).await;
    queue.declare(&pool()).await.unwrap();
    Raw::connect(&url).await.delete(&format!("{prefix}.gpu.bulk")).await;
    // Interleaved, so that an acknowledgement of the one kind may carry a message of the other.
    let bands = |n: usize| if n.is_multiple_of(3) { Band::Bulk } else { Band::Standard };
    let messages: Vec<_> = (0..3000).map(|n| message(bands(n), n as u32)).collect();
    let outcomes = soon(queue.publish(&pool(), &messages)).await.unwrap();
    let expected = |n: usize| if n.is_multiple_of(3) { Published::Returned } else { Published::Confirmed };
    for (n, outcome) in outcomes.into_iter().enumerate() {
        assert_eq!(outcome, expected(n), "message {n}");
    }
    eventually(async || queue.depth(&key(Band::Standard)).await.unwrap().unwrap().ready == 2000).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consumer_outlives_its_queue() {
    let url = url();
    let (queue, prefix) = fresh(&url).await;
    queue.declare(&pool()).await.unwrap();
    let mut consumer = queue.consume(&key(Band::Bulk), holding(2)).await.unwrap();
    send(&queue, &[message(Band::Bulk, 1)]).await;
    let held = soon(consumer.next()).await.unwrap();
    Raw::connect(&url).await.delete(&format!("{prefix}.gpu.bulk")).await;
    let publish = async {
        // The consumer makes the queue again, as soon as it learns of the loss.
        eventually(async || {
            soon(queue.publish(&pool(), &[message(Band::Bulk, 2)])).await.unwrap() == [Published::Confirmed]
        })
        .await;
    };
    let (number, ()) = tokio::join!(take(&mut consumer), publish);
    assert_eq!(number, 2);
    assert!(!held.ack().await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_none_is_put_aside_and_the_next_one_comes() {
    let url = url();
    let (queue, prefix) = fresh(&url).await;
    queue.declare(&pool()).await.unwrap();
    let raw = Raw::connect(&url).await;
    for body in [&b"garbage"[..], br#"{"v":99,"new":true}"#] {
        let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
        let name = format!("{prefix}.gpu.bulk");
        raw.channel.basic_publish("".into(), name.as_str().into(), options, body, properties).await.unwrap();
    }
    eventually(async || queue.depth(&key(Band::Bulk)).await.unwrap().unwrap().ready == 2).await;
    send(&queue, &[message(Band::Bulk, 3)]).await;
    let mut consumer = queue.consume(&key(Band::Bulk), holding(1)).await.unwrap();
    assert_eq!(take(&mut consumer).await, 3);
    // Both are where a newer build may look for them.
    eventually(async || {
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let parking = format!("{prefix}.parking");
        let found = raw.channel.queue_declare(parking.as_str().into(), options, FieldTable::default()).await;
        found.unwrap().message_count() == 2
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_with_other_settings_is_told() {
    let url = url();
    let (queue, prefix) = fresh(&url).await;
    let raw = Raw::connect(&url).await;
    let name = format!("{prefix}.gpu.bulk");
    let options = QueueDeclareOptions::durable();
    raw.channel.queue_declare(name.as_str().into(), options, FieldTable::default()).await.unwrap();
    let error = queue.declare(&pool()).await.unwrap_err();
    assert_eq!(error.kind(), PortErrorKind::Incompatible, "{error}");
    assert!(error.to_string().contains(&name), "{error}");
    raw.delete(&name).await;
    queue.declare(&pool()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_url_is_told_without_its_password() {
    let (scheme, rest) = url().split_once("://").map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    let (_, address) = rest.rsplit_once('@').unwrap();
    let (host, _) = address.split_once('/').unwrap();
    let cases = [
        (format!("{scheme}://retouch:hunter2@{address}"), PortErrorKind::Unauthorized),
        (url().replace("/%2f", "/no-such-vhost"), PortErrorKind::Unauthorized),
        // Port 1 of the loopback is nobody's.
        (format!("{scheme}://retouch:hunter2@127.0.0.1:1/%2f"), PortErrorKind::Unavailable),
        (format!("http://retouch:hunter2@{host}"), PortErrorKind::Invalid),
        ("amqp".to_owned(), PortErrorKind::Invalid),
    ];
    for (url, kind) in cases {
        let error = RabbitQueue::connect(&url, "x", Arc::new(SystemIds)).await.err().unwrap();
        assert_eq!(error.kind(), kind, "{url}: {error:?}");
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    }
    let error = RabbitQueue::connect(&url(), "a b", Arc::new(SystemIds)).await.err().unwrap();
    assert_eq!(error.kind(), PortErrorKind::Invalid);
}
