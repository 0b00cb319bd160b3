//! That this worker is there: its liveness lock in the store, its presence in the live state.

use std::collections::HashMap;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use retouch_domain::{BatchId, JobId, WorkerBootId};
use retouch_ports::live::{Heard, LiveEvent, Progress, Topic, WorkerPresence, subscribed};
use retouch_ports::store::{Liveness, Presence};
use retouch_ports::{Ids, Live, PortErrorKind};
use tokio::sync::{Notify, mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::record::BACKOFF;
use crate::run::Stop;
use crate::table::Table;

/// How often the lock is looked at. It is free for at most this long, and the time of a reconnection, after the database was
/// restarted.
const LOOK: Duration = Duration::from_millis(500);
/// How often the live state is told.
const TELL: Duration = Duration::from_millis(500);
/// How long the live state remembers.
const REMEMBERED: Duration = Duration::from_secs(5);
/// News that wait to be told; more are not told.
const NEWS: usize = 1024;

/// Keeps the lock. While it is lost, `held` is false and nothing new is claimed.
pub(crate) async fn keep_lock(
    liveness: Arc<dyn Liveness>,
    boot: WorkerBootId,
    mut lock: Box<dyn Presence>,
    held: watch::Sender<bool>,
    ids: Arc<dyn Ids>,
) {
    loop {
        tokio::time::sleep(LOOK).await;
        let Err(error) = lock.check().await else { continue };
        tracing::warn!(error = &error as &dyn Error, "the liveness lock was lost; taking it again");
        held.send_replace(false);
        let mut failures = 0;
        lock = loop {
            match liveness.hold(boot).await {
                Ok(lock) => break lock,
                // The server may not have noticed yet that the old connection is gone.
                Err(error) if failures == 0 || error.kind() != PortErrorKind::Conflict => {
                    tracing::debug!(error = &error as &dyn Error, "the liveness lock cannot be taken yet");
                }
                Err(_) => {}
            }
            failures += 1;
            tokio::time::sleep(BACKOFF.wait(failures.min(3), &*ids)).await;
        };
        held.send_replace(true);
    }
}

/// Tells the live state that the worker is there and how far its runs are.
pub(crate) async fn announce(
    live: Arc<dyn Live>,
    presence: impl Fn() -> WorkerPresence + Send,
    table: Table,
    draining: CancellationToken,
) {
    let mut told = HashMap::new();
    let mut lost = false;
    loop {
        let worker = presence();
        let announced = match live.announce(&worker, REMEMBERED).await {
            Ok(()) => tell_progress(&*live, &table, &mut told).await,
            Err(error) => Err(error),
        };
        match announced {
            Err(error) if !lost => {
                tracing::warn!(error = &error as &dyn Error, "the live state is lost; jobs go on without it");
                lost = true;
            }
            Err(_) => {}
            Ok(()) => lost = false,
        }
        tokio::select! {
            () = tokio::time::sleep(TELL) => {}
            () = draining.cancelled(), if !worker.draining => {}
        }
    }
}

/// Tells of the runs that made a step since `told`.
async fn tell_progress(
    live: &dyn Live,
    table: &Table,
    told: &mut HashMap<JobId, Progress>,
) -> Result<(), retouch_ports::PortError> {
    let now: HashMap<JobId, Progress> = table
        .handles()
        .iter()
        .filter_map(|handle| {
            let (done, total) = handle.reported();
            let progress = Progress { epoch: handle.fence().epoch, done, total };
            (done > 0).then_some((handle.fence().job, progress))
        })
        .collect();
    let news: Vec<(JobId, Progress)> = now
        .iter()
        .filter(|(job, progress)| told.get(job) != Some(progress))
        .map(|(job, progress)| (*job, progress.clone()))
        .collect();
    if !news.is_empty() {
        live.set_progress(&news, REMEMBERED * 10).await?;
    }
    for (job, progress) in news {
        let event = LiveEvent::Progress { job: job.uuid(), progress };
        live.publish(&Topic::Job(job), &event).await?;
    }
    *told = now;
    Ok(())
}

/// Passes on cancels that are pushed. What is missed comes with a heartbeat.
pub(crate) async fn listen(
    live: Arc<dyn Live>,
    boot: WorkerBootId,
    table: Table,
    beat: Arc<Notify>,
    ids: Arc<dyn Ids>,
) {
    let mut events = subscribed(&*live, &[Topic::Worker(boot)], BACKOFF, &*ids).await;
    loop {
        match events.next().await {
            Heard::Event(_, LiveEvent::Cancel { job, epoch }) => {
                let run = table.handle(JobId::new(job)).filter(|run| run.fence().epoch == epoch);
                if let Some(run) = run {
                    run.tell(Stop::Cancel);
                }
            }
            Heard::Event(..) => {}
            Heard::Gap => beat.notify_one(),
        }
    }
}

/// Something for others to react to.
enum NewsItem {
    Changed(BatchId, JobId),
    Room,
}

/// Tells others of changes. Nobody waits for that, and what comes too fast is not told.
#[derive(Clone)]
pub(crate) struct News(mpsc::Sender<NewsItem>);

impl News {
    /// News, and their teller for a task of its own.
    pub(crate) fn new(live: Arc<dyn Live>, pool: String) -> (Self, impl Future<Output = ()> + Send) {
        let (sender, items) = mpsc::channel(NEWS);
        (Self(sender), tell(live, pool, items))
    }

    /// The store has news of a job.
    pub(crate) fn changed(&self, batch: BatchId, job: JobId) {
        let _ = self.0.try_send(NewsItem::Changed(batch, job));
    }

    /// The queue has room for more tickets.
    pub(crate) fn room(&self) {
        let _ = self.0.try_send(NewsItem::Room);
    }
}

async fn tell(live: Arc<dyn Live>, pool: String, mut items: mpsc::Receiver<NewsItem>) {
    let mut together = Vec::with_capacity(NEWS);
    while items.recv_many(&mut together, NEWS).await > 0 {
        let mut topics = Vec::new();
        let mut room = false;
        for item in together.drain(..) {
            match item {
                NewsItem::Changed(batch, job) => topics.extend([Topic::Batch(batch), Topic::Job(job)]),
                NewsItem::Room => room = true,
            }
        }
        topics.sort();
        topics.dedup();
        let mut events: Vec<_> = topics.into_iter().map(|topic| (topic, LiveEvent::Changed)).collect();
        if room {
            // First: a worker may be idle.
            events.insert(0, (Topic::Scheduler, LiveEvent::Nudge { pool: pool.clone() }));
        }
        for (topic, event) in events {
            if let Err(error) = live.publish(&topic, &event).await {
                tracing::debug!(error = &error as &dyn Error, "news cannot be told");
                break;
            }
        }
    }
}
