//! What every [`Live`] does while its backend is there.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use retouch_domain::{BatchId, JobId, Pool, WorkerBootId};
use retouch_ports::live::{Heard, Limit, Live, LiveEvent, Progress, Topic, WorkerModel, WorkerPresence};
use retouch_ports::{Ids, PortErrorKind, SystemIds};

use crate::case::{case, eventually, soon};

const LONG: Duration = Duration::from_secs(600);
const SHORT: Duration = Duration::from_millis(30);

/// A worker of a pool that only this test has.
pub fn worker(pool: &Pool) -> WorkerPresence {
    WorkerPresence {
        boot: WorkerBootId::new(SystemIds.uuid()),
        pool: pool.clone(),
        slots: 4,
        draining: false,
        models: vec![
            WorkerModel { name: "a:b".to_owned(), loaded: true },
            WorkerModel { name: "c".to_owned(), loaded: false },
        ],
    }
}

/// A pool that only this test has.
pub fn pool() -> Pool {
    format!("p{}", SystemIds.uuid().simple()).parse().expect("a name")
}

/// A fresh job.
pub fn job() -> JobId {
    JobId::new(SystemIds.uuid())
}

/// Runs every case. `pass` lets time pass where the backend does not do so by itself.
pub async fn suite(live: Arc<dyn Live>, pass: impl AsyncFn(Duration)) {
    let live = &*live;
    case("progress is what was last told", progress(live)).await;
    case("progress is forgotten in time", progress_expires(live, &pass)).await;
    case("workers are there until they leave", presence(live)).await;
    case("a worker that is silent is gone", presence_expires(live, &pass)).await;
    case("events reach the subscribers of their topic", events(live)).await;
    case("many events come in order", many_events(live)).await;
    case("nobody has to listen", nobody_listens(live)).await;
    case("a bucket gives what it has, also to many at once", limits(live)).await;
    case("a bucket fills again", refills(live, &pass)).await;
    case("what a bucket can never give is told", impossible(live)).await;
    case("a healthy backend says so", async { live.check().await.expect("healthy") }).await;
}

async fn progress(live: &dyn Live) {
    let (one, two, none) = (job(), job(), job());
    let at = |done| Progress { epoch: 3, done, total: 20 };
    live.set_progress(&[(one, at(1)), (two, at(2))], LONG).await.expect("writing");
    live.set_progress(&[(one, at(5))], LONG).await.expect("writing");
    live.set_progress(&[], LONG).await.expect("writing nothing");
    let read = live.progress(&[two, none, one]).await.expect("reading");
    assert_eq!(read, [Some(at(2)), None, Some(at(5))]);
    assert_eq!(live.progress(&[]).await.expect("reading nothing"), []);
}

async fn progress_expires(live: &dyn Live, pass: &impl AsyncFn(Duration)) {
    let (gone, kept) = (job(), job());
    let some = Progress { epoch: 1, done: 1, total: 2 };
    live.set_progress(&[(kept, some.clone())], LONG).await.expect("writing");
    live.set_progress(&[(gone, some.clone())], SHORT).await.expect("writing");
    pass(SHORT).await;
    eventually(async || live.progress(&[gone]).await.expect("reading") == [None]).await;
    assert_eq!(live.progress(&[kept]).await.expect("reading"), [Some(some)]);
}

async fn presence(live: &dyn Live) {
    let (here, elsewhere) = (pool(), pool());
    let (mut one, two, other) = (worker(&here), worker(&here), worker(&elsewhere));
    for worker in [&one, &two, &other] {
        live.announce(worker, LONG).await.expect("announcing");
    }
    one.draining = true;
    live.announce(&one, LONG).await.expect("announcing again");
    let mut expected = vec![one.clone(), two.clone()];
    expected.sort_by_key(|worker| worker.boot);
    assert_eq!(live.workers(&here).await.expect("the workers"), expected);
    live.withdraw(&one).await.expect("leaving");
    live.withdraw(&one).await.expect("leaving twice");
    assert_eq!(live.workers(&here).await.expect("the workers"), [two]);
    assert_eq!(live.workers(&elsewhere).await.expect("the workers"), [other]);
}

async fn presence_expires(live: &dyn Live, pass: &impl AsyncFn(Duration)) {
    let pool = pool();
    let (gone, kept) = (worker(&pool), worker(&pool));
    live.announce(&kept, LONG).await.expect("announcing");
    live.announce(&gone, SHORT).await.expect("announcing");
    pass(SHORT).await;
    eventually(async || live.workers(&pool).await.expect("the workers") == [kept.clone()]).await;
    // It comes back as if nothing had been.
    live.announce(&gone, LONG).await.expect("announcing");
    assert_eq!(live.workers(&pool).await.expect("the workers").len(), 2);
}

async fn events(live: &dyn Live) {
    let batch = Topic::Batch(BatchId::new(SystemIds.uuid()));
    let worker = Topic::Worker(WorkerBootId::new(SystemIds.uuid()));
    let job = SystemIds.uuid();
    let mut both = live.subscribe(&[batch.clone(), worker.clone()]).await.expect("listening");
    let mut one = live.subscribe(std::slice::from_ref(&worker)).await.expect("listening");
    let cancel = LiveEvent::Cancel { job, epoch: 4 };
    live.publish(&batch, &LiveEvent::Changed).await.expect("telling");
    live.publish(&Topic::Job(JobId::new(job)), &LiveEvent::Changed).await.expect("telling");
    live.publish(&worker, &cancel).await.expect("telling");
    assert_eq!(soon(both.next()).await, Heard::Event(batch, LiveEvent::Changed));
    assert_eq!(soon(both.next()).await, Heard::Event(worker.clone(), cancel.clone()));
    assert_eq!(soon(one.next()).await, Heard::Event(worker, cancel));
}

async fn many_events(live: &dyn Live) {
    let topic = Topic::Job(job());
    let mut subscription = live.subscribe(std::slice::from_ref(&topic)).await.expect("listening");
    let event = |epoch| LiveEvent::Cancel { job: uuid::Uuid::nil(), epoch };
    for epoch in 0..500 {
        live.publish(&topic, &event(epoch)).await.expect("telling");
    }
    for epoch in 0..500 {
        assert_eq!(soon(subscription.next()).await, Heard::Event(topic.clone(), event(epoch)));
    }
}

async fn nobody_listens(live: &dyn Live) {
    let topic = Topic::Job(job());
    drop(live.subscribe(std::slice::from_ref(&topic)).await.expect("listening"));
    live.publish(&topic, &LiveEvent::Nudge { pool: "gpu".to_owned() }).await.expect("telling");
    live.publish(&Topic::Scheduler, &LiveEvent::Changed).await.expect("telling");
}

/// A bucket that gains nothing while a test runs.
const SLOW: Limit = Limit { burst: 10, per_second: 1e-6 };

async fn limits(live: &dyn Live) {
    let bucket = job().to_string();
    let taken = join_all((0..40).map(|_| live.take(&bucket, &SLOW, 1))).await;
    let taken: Vec<_> = taken.into_iter().map(|taken| taken.expect("an answer")).collect();
    assert_eq!(taken.iter().filter(|taken| taken.allowed).count(), 10);
    assert!(taken.iter().all(|taken| !taken.degraded));
    let refused = live.take(&bucket, &SLOW, 1).await.expect("an answer");
    assert!(!refused.allowed && refused.remaining == 0 && refused.retry_after > Duration::from_secs(1000));
    // Another bucket is not concerned, and too many tokens leave it as it is.
    let other = job().to_string();
    assert_eq!(live.take(&other, &SLOW, 8).await.expect("an answer").remaining, 2);
    assert!(!live.take(&other, &SLOW, 3).await.expect("an answer").allowed);
    assert!(live.take(&other, &SLOW, 2).await.expect("an answer").allowed);
}

async fn refills(live: &dyn Live, pass: &impl AsyncFn(Duration)) {
    let bucket = job().to_string();
    let quick = Limit { burst: 2, per_second: 50.0 };
    assert!(live.take(&bucket, &quick, 2).await.expect("an answer").allowed);
    pass(Duration::from_millis(40)).await;
    eventually(async || live.take(&bucket, &quick, 1).await.expect("an answer").allowed).await;
}

async fn impossible(live: &dyn Live) {
    for (limit, cost) in [(SLOW, 11), (Limit { per_second: 0.0, ..SLOW }, 1), (Limit { burst: 0, ..SLOW }, 0)]
    {
        let error = live.take("impossible", &limit, cost).await.expect_err("a refusal");
        assert_eq!(error.kind(), PortErrorKind::Invalid);
    }
}
