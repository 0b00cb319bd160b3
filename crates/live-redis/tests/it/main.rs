//! Live state on a real Redis: the suite of the port, and the loss of Redis.

use std::sync::Arc;
use std::time::Duration;

use retouch_live_redis::RedisLive;
use retouch_ports::live::{Heard, Limit, Live, LiveEvent, Progress, Topic};
use retouch_ports::{PortErrorKind, SystemClock, SystemIds};
use retouch_testkit::case::{eventually, server_url, soon};
use retouch_testkit::live::{job, pool, suite, worker};
use retouch_testkit::queue::unique;
use retouch_testkit::services::PrivateServer;

fn open(url: &str) -> RedisLive {
    RedisLive::open(url, &unique("test"), Arc::new(SystemClock), Arc::new(SystemIds)).unwrap()
}

const LONG: Duration = Duration::from_secs(600);

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
async fn the_loss_of_redis_degrades_and_its_return_mends() {
    let server = PrivateServer::start("redis").await;
    let live = open(server.url());
    let topic = Topic::Job(job());
    let mut heard = live.subscribe(std::slice::from_ref(&topic)).await.unwrap();
    let limit = Limit { burst: 2, per_second: 1e-6 };
    assert!(!live.take("b", &limit, 1).await.unwrap().degraded);

    server.kill().await;
    let some = Progress { epoch: 1, done: 1, total: 2 };
    let (gone, worker) = (job(), worker(&pool()));
    let errors = [
        soon(live.set_progress(&[(gone, some.clone())], LONG)).await.err(),
        soon(live.progress(&[gone])).await.err(),
        soon(live.announce(&worker, LONG)).await.err(),
        soon(live.workers(&worker.pool)).await.err(),
        soon(live.withdraw(&worker)).await.err(),
        soon(live.publish(&topic, &LiveEvent::Changed)).await.err(),
        soon(live.check()).await.err(),
    ];
    for error in errors {
        assert_eq!(error.as_ref().map(|error| error.kind()), Some(PortErrorKind::Unavailable), "{error:?}");
    }
    // The limit holds, for this process.
    let allowed = [
        soon(live.take("b", &limit, 1)).await.unwrap(),
        soon(live.take("b", &limit, 1)).await.unwrap(),
        soon(live.take("b", &limit, 1)).await.unwrap(),
    ];
    assert_eq!(
        allowed.map(|taken| (taken.allowed, taken.degraded)),
        [(true, true), (true, true), (false, true)]
    );

    server.restart().await;
    eventually(async || live.check().await.is_ok()).await;
    live.set_progress(&[(gone, some.clone())], LONG).await.unwrap();
    assert_eq!(live.progress(&[gone]).await.unwrap(), [Some(some)]);
    eventually(async || !live.take("b", &limit, 0).await.unwrap().degraded).await;
    // The subscriber is told to look, and then hears again.
    assert_eq!(soon(heard.next()).await, Heard::Gap);
    live.publish(&topic, &LiveEvent::Changed).await.unwrap();
    assert_eq!(soon(heard.next()).await, Heard::Event(topic, LiveEvent::Changed));
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
