//! Live state in memory.

use std::sync::Arc;

use retouch_local::LocalLive;
use retouch_ports::Live;
use retouch_ports::live::{Heard, LiveEvent, Topic};
use retouch_testkit::clock::ManualClock;

#[tokio::test(flavor = "multi_thread")]
async fn the_suite() {
    let clock = Arc::new(ManualClock::default());
    let live = Arc::new(LocalLive::new(clock.clone()));
    retouch_testkit::live::suite(live, async |time| clock.advance(time)).await;
}

#[tokio::test]
async fn a_slow_subscriber_is_told_that_it_missed_events() {
    let live = LocalLive::new(Arc::new(ManualClock::default()));
    let mut subscription = live.subscribe(&[Topic::Scheduler]).await.unwrap();
    for _ in 0..2000 {
        live.publish(&Topic::Scheduler, &LiveEvent::Changed).await.unwrap();
    }
    assert_eq!(subscription.next().await, Heard::Gap);
    assert_eq!(subscription.next().await, Heard::Event(Topic::Scheduler, LiveEvent::Changed));
}
