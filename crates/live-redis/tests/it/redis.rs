//! The suite, and what differs from state in one process.

use std::sync::Arc;
use std::time::Duration;

use retouch_live_redis::RedisLive;
use retouch_ports::live::{Heard, Live, LiveEvent, Topic};
use retouch_ports::{PortErrorKind, SystemClock, SystemIds};
use retouch_testkit::case::{server_url, soon};
use retouch_testkit::live::{pool, suite, worker};
use retouch_testkit::queue::unique;

pub(crate) fn open(url: &str) -> RedisLive {
    RedisLive::open(url, &unique("test"), Arc::new(SystemClock), Arc::new(SystemIds)).unwrap()
}

pub(crate) const LONG: Duration = Duration::from_secs(600);

#[tokio::test(flavor = "multi_thread")]
async fn the_suite() {
    // Redis' own clock moves by itself.
    suite(Arc::new(open(&server_url("RETOUCH_TEST_REDIS"))), async |_| {}).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_see_each_other_and_prefixes_do_not() {
    let url = server_url("RETOUCH_TEST_REDIS");
    let prefix = unique("test");
    let open_as =
        |prefix: &str| RedisLive::open(&url, prefix, Arc::new(SystemClock), Arc::new(SystemIds)).unwrap();
    let (one, two, stranger) = (open_as(&prefix), open_as(&prefix), open(&url));
    let worker = worker(&pool());
    one.announce(&worker, LONG).await.unwrap();
    assert_eq!(two.workers(&worker.pool).await.unwrap(), std::slice::from_ref(&worker));
    assert_eq!(stranger.workers(&worker.pool).await.unwrap(), []);
    let mut heard = two.subscribe(&[Topic::Scheduler]).await.unwrap();
    stranger.publish(&Topic::Scheduler, &LiveEvent::Changed).await.unwrap();
    let nudge = LiveEvent::Nudge { pool: "gpu".to_owned() };
    one.publish(&Topic::Scheduler, &nudge).await.unwrap();
    assert_eq!(soon(heard.next()).await, Heard::Event(Topic::Scheduler, nudge));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_url_is_told_without_its_password() {
    let url = server_url("RETOUCH_TEST_REDIS");
    let address = url.rsplit_once('@').unwrap().1;
    for (url, kind) in [
        (format!("redis://:hunter2@{address}"), PortErrorKind::Unauthorized),
        (format!("redis://{address}"), PortErrorKind::Unauthorized),
        // Port 1 of the loopback is nobody's.
        ("redis://:hunter2@127.0.0.1:1/".to_owned(), PortErrorKind::Unavailable),
    ] {
        let error = open(&url).check().await.unwrap_err();
        assert_eq!(error.kind(), kind, "{url}: {error:?}");
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    }
    let (clock, ids) = (Arc::new(SystemClock), Arc::new(SystemIds));
    for url in ["", "http://:hunter2@host", "redis://:hunter2@host:port"] {
        let error = RedisLive::open(url, "x", clock.clone(), ids.clone()).err().unwrap();
        assert_eq!(error.kind(), PortErrorKind::Invalid, "{url}: {error:?}");
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    }
}
