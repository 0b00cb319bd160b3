//! The queue while its broker is restarted, killed and emptied. Each test has a broker of its own.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use retouch_domain::Band;
use retouch_ports::queue::{Consumer, JobQueue, Message, Published};
use retouch_queue_rabbitmq::RabbitQueue;
use retouch_testkit::case::{eventually, soon};
use retouch_testkit::queue::{holding, key, message, pool, send, take};
use retouch_testkit::services::PrivateServer;

use crate::broker::fresh;

/// Sends message after message until told to stop; those that were confirmed.
async fn publish_until(queue: &RabbitQueue, stop: &AtomicBool) -> BTreeSet<u32> {
    let mut confirmed = BTreeSet::new();
    let mut next = 0;
    while !stop.load(Ordering::SeqCst) {
        let numbers: Vec<u32> = (next..next + 20).collect();
        next += 20;
        let messages: Vec<Message> = numbers.iter().map(|n| message(Band::Bulk, *n)).collect();
        // While the broker is away the call fails, and nothing was sent.
        let Ok(outcomes) = queue.publish(&pool(), &messages).await else {
            // The cores are for the broker now, which starts.
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            continue;
        };
        let taken = numbers.into_iter().zip(outcomes);
        confirmed.extend(taken.filter(|(_, outcome)| *outcome == Published::Confirmed).map(|(n, _)| n));
    }
    confirmed
}

/// Takes messages until the task is ended, and notes those whose acknowledgement was sent.
async fn consume_into(mut consumer: Box<dyn Consumer>, seen: Arc<Mutex<BTreeSet<u32>>>) {
    loop {
        let delivery = consumer.next().await.unwrap();
        let number = delivery.message.jobs()[0].epoch;
        seen.lock().unwrap().insert(number);
        delivery.ack().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_and_a_crash_under_load_lose_nothing_that_was_confirmed() {
    let server = PrivateServer::start("rabbitmq").await;
    let (queue, _) = fresh(server.url()).await;
    queue.declare(&pool()).await.unwrap();
    let seen = Arc::new(Mutex::new(BTreeSet::new()));
    let mut tasks = Vec::new();
    for _ in 0..3 {
        let consumer = queue.consume(&key(Band::Bulk), holding(10)).await.unwrap();
        tasks.push(tokio::spawn(consume_into(consumer, seen.clone())));
    }
    let stop = AtomicBool::new(false);
    let faults = async {
        let count = || seen.lock().unwrap().len();
        let moves_on = async || {
            let before = count();
            eventually(async || count() > before + 100).await;
        };
        moves_on().await;
        server.restart().await;
        moves_on().await;
        server.kill().await;
        server.restart().await;
        moves_on().await;
        stop.store(true, Ordering::SeqCst);
    };
    let (confirmed, ()) = tokio::join!(publish_until(&queue, &stop), faults);
    assert!(confirmed.len() > 300, "{} messages", confirmed.len());
    eventually(async || confirmed.is_subset(&seen.lock().unwrap())).await;
    tasks.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_held_comes_again_and_its_old_receipt_is_void() {
    let server = PrivateServer::start("rabbitmq").await;
    let (queue, _) = fresh(server.url()).await;
    queue.declare(&pool()).await.unwrap();
    send(&queue, &[message(Band::Bulk, 1)]).await;
    let mut consumer = queue.consume(&key(Band::Bulk), holding(1)).await.unwrap();
    let held = soon(consumer.next()).await.unwrap();
    server.restart().await;
    let again = soon(consumer.next()).await.unwrap();
    assert_eq!((&again.message, again.redelivered), (&held.message, true));
    assert!(!held.ack().await.unwrap());
    assert!(again.ack().await.unwrap());
    eventually(async || queue.depth(&key(Band::Bulk)).await.unwrap().unwrap().ready == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_lost_its_data_gets_its_queues_again() {
    let server = PrivateServer::start("rabbitmq").await;
    let (queue, _) = fresh(server.url()).await;
    queue.declare(&pool()).await.unwrap();
    let mut consumer = queue.consume(&key(Band::Bulk), holding(1)).await.unwrap();
    server.restart_empty().await;
    let publish = eventually(async || {
        matches!(
            queue.publish(&pool(), &[message(Band::Bulk, 4)]).await.as_deref(),
            Ok([Published::Confirmed])
        )
    });
    let (number, ()) = tokio::join!(take(&mut consumer), publish);
    assert_eq!(number, 4);
}
