//! The loss of Redis. The test has a server of its own.

use retouch_ports::PortErrorKind;
use retouch_ports::live::{Heard, Limit, Live, LiveEvent, Progress, Topic};
use retouch_testkit::case::{eventually, soon};
use retouch_testkit::live::{job, pool, worker};
use retouch_testkit::services::PrivateServer;

use crate::redis::{LONG, open};

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
