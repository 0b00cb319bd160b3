//! A worker: claims jobs of one pool, runs them, and lives on the leases of what it runs.

use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use retouch_domain::{Band, Pool, WorkerBootId};
use retouch_ports::live::WorkerPresence;
use retouch_ports::store::{LeaseTerms, Liveness, Work};
use retouch_ports::{Ids, JobQueue, Live, PortError};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::beat::Heart;
use crate::claim::Desk;
use crate::executor::Executor;
use crate::presence::{self, News};
use crate::record::{Recorder, Writer};
use crate::run::Stop;
use crate::table::Table;
use crate::tasks::Tasks;

/// The settings of a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The pool whose jobs it runs.
    pub pool: Pool,
    /// Jobs of each band that it holds at a time.
    pub slots: NonZeroU16,
    /// Interactive jobs that it holds beside those.
    pub interactive_reserve: u16,
    /// How long a lease lasts without a heartbeat; a heartbeat comes three times as often.
    pub lease: Duration,
    /// How long a delivery is held; after that a job lives on its lease alone.
    pub held_at_most: Duration,
    /// How long an executor may take to stop a run.
    pub patience: Duration,
    /// How long a drain may take.
    pub drain: Duration,
}

impl Options {
    /// Those of a pool, with what suits most.
    pub fn new(pool: Pool, slots: NonZeroU16) -> Self {
        Self {
            pool,
            slots,
            interactive_reserve: 2,
            lease: Duration::from_secs(9),
            held_at_most: Duration::from_secs(300),
            patience: Duration::from_secs(10),
            drain: Duration::from_secs(20),
        }
    }
}

/// What a worker runs on.
#[derive(Clone)]
pub struct Ports {
    /// The truth about runs.
    pub work: Arc<dyn Work>,
    /// The truth about workers.
    pub liveness: Arc<dyn Liveness>,
    /// The broker.
    pub queue: Arc<dyn JobQueue>,
    /// Progress, presence, cancels.
    pub live: Arc<dyn Live>,
    /// For the boot id and for jitter.
    pub ids: Arc<dyn Ids>,
}

impl From<retouch_ports::Ports> for Ports {
    fn from(ports: retouch_ports::Ports) -> Self {
        let retouch_ports::Ports { store, queue, live, ids, .. } = ports;
        Self { work: store.clone(), liveness: store, queue, live, ids }
    }
}

/// Why a worker ended without being told to.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// It could not begin.
    #[error("the worker cannot begin: a backend refuses it")]
    Begin(#[source] PortError),
    /// Its device is beyond repair.
    #[error("the device is beyond repair: the process must end, and its runs go to other workers")]
    Device,
    /// A part of it panicked.
    #[error("a part of the worker broke; its log says where")]
    Broken,
}

/// What the parts of a worker share.
pub(crate) struct Shared {
    pub(crate) options: Options,
    pub(crate) terms: LeaseTerms,
    pub(crate) work: Arc<dyn Work>,
    pub(crate) liveness: Arc<dyn Liveness>,
    pub(crate) queue: Arc<dyn JobQueue>,
    pub(crate) ids: Arc<dyn Ids>,
    pub(crate) executor: Arc<dyn Executor>,
    pub(crate) table: Table,
    pub(crate) recorder: Recorder,
    pub(crate) news: News,
    pub(crate) beat: Arc<Notify>,
    /// Whether the liveness lock is held.
    pub(crate) held: watch::Receiver<bool>,
    /// Canceled when nothing new is to begin.
    pub(crate) draining: CancellationToken,
    pub(crate) tasks: Tasks,
}

impl Shared {
    /// Comes back when the worker drains and has waited as long as for a run that does not stop.
    pub(crate) async fn hopeless(&self) {
        self.draining.cancelled().await;
        tokio::time::sleep(self.options.patience).await;
    }
}

/// Runs a worker until `stop` is canceled and its runs are handed over.
///
/// # Errors
/// If it cannot begin, or its device is beyond repair: then the process must end, so that its liveness lock is free.
pub async fn run(
    ports: Ports,
    executor: Arc<dyn Executor>,
    options: Options,
    stop: CancellationToken,
) -> Result<(), WorkerError> {
    let boot = WorkerBootId::new(ports.ids.uuid());
    ports.queue.declare(&options.pool).await.map_err(WorkerError::Begin)?;
    let lock = ports.liveness.hold(boot).await.map_err(WorkerError::Begin)?;
    tracing::info!(%boot, pool = %options.pool, slots = options.slots, "the worker begins");
    let (held_sender, held) = watch::channel(true);
    let (recorder, writer) = Recorder::new(ports.work.clone(), ports.ids.clone());
    let (news, teller) = News::new(ports.live.clone(), options.pool.to_string());
    let shared = Arc::new(Shared {
        terms: LeaseTerms { boot, length: options.lease },
        work: ports.work,
        liveness: ports.liveness.clone(),
        queue: ports.queue,
        ids: ports.ids.clone(),
        executor,
        table: Table::default(),
        recorder,
        news,
        beat: Arc::default(),
        held,
        draining: stop,
        tasks: Tasks::default(),
        options,
    });
    let mut parts = JoinSet::new();
    parts.spawn(teller);
    parts.spawn(presence::keep_lock(ports.liveness, boot, lock, held_sender, ports.ids));
    let outcome = serve(&shared, &ports.live, writer, &mut parts).await;
    let gone = presence(&shared);
    if let Err(error) = ports.live.withdraw(&gone).await {
        tracing::debug!(error = &error as &dyn std::error::Error, "the worker's presence runs out by itself");
    }
    parts.shutdown().await;
    shared.tasks.abort();
    outcome
}

fn presence(shared: &Shared) -> WorkerPresence {
    let slots = u32::from(shared.options.slots.get());
    let draining = shared.draining.is_cancelled();
    let models = shared.executor.models();
    WorkerPresence { boot: shared.terms.boot, pool: shared.options.pool.clone(), slots, draining, models }
}

/// Works, and then drains.
async fn serve(
    shared: &Arc<Shared>,
    live: &Arc<dyn Live>,
    writer: Writer,
    parts: &mut JoinSet<()>,
) -> Result<(), WorkerError> {
    let (work, terms, ids) = (shared.work.clone(), shared.terms, shared.ids.clone());
    let (table, beat, draining) = (shared.table.clone(), shared.beat.clone(), shared.draining.clone());
    let heart = Heart { work, terms, table: table.clone(), ids: ids.clone(), beat: beat.clone() };
    let options = shared.options.clone();
    parts.spawn(async move { heart.run(&options).await });
    parts.spawn(writer.run());
    let said = shared.clone();
    parts.spawn(presence::announce(live.clone(), move || presence(&said), table.clone(), draining.clone()));
    parts.spawn(presence::listen(live.clone(), terms.boot, table, beat, ids));
    let mut desks = JoinSet::new();
    for band in Band::ALL {
        let reserve = if band == Band::Interactive { shared.options.interactive_reserve } else { 0 };
        let capacity = shared.options.slots.saturating_add(reserve);
        desks.spawn(Desk::new(shared.clone(), band, capacity).run());
    }
    tokio::select! {
        () = draining.cancelled() => {}
        () = shared.executor.broken() => return Err(WorkerError::Device),
        Some(_) = parts.join_next() => return Err(WorkerError::Broken),
        // A desk ends by itself only when the worker drains.
        Some(Err(_)) = desks.join_next() => return Err(WorkerError::Broken),
    }
    tracing::info!("the worker drains: its runs are handed over");
    for run in shared.table.handles() {
        run.tell(Stop::HandOver);
    }
    let drained = async {
        while desks.join_next().await.is_some() {}
        shared.table.empty().await;
    };
    tokio::select! {
        () = drained => {}
        () = tokio::time::sleep(shared.options.drain) => {
            tracing::warn!(runs = shared.table.handles().len(), "the drain took too long; runs are left to their leases");
        }
        () = shared.executor.broken() => return Err(WorkerError::Device),
    }
    Ok(())
}
