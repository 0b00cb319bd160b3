//! The service: all reconcilers at once.

use std::sync::Arc;
use std::time::Duration;

use retouch_domain::Pool;
use retouch_ports::live::{Heard, LiveEvent, Topic, subscribed};
use retouch_ports::{Dispatcher, Ids, Live, Ports};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::Options;
use crate::reconcilers::{counts, dispatch, files, jobs, leases, parking, tickets, webhooks};
use crate::rounds::{BACKOFF, Reconciler, Rhythm, run};

/// One scheduler process.
pub struct Scheduler {
    ports: Ports,
    options: Options,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl Scheduler {
    /// Runs until `stop` is canceled and the rounds that run are over.
    pub async fn run(ports: Ports, options: Options, stop: CancellationToken) {
        let mut scheduler = Self { ports, options, stop, tasks: JoinSet::new() };
        scheduler.start();
        while let Some(ended) = scheduler.tasks.join_next().await {
            if let Err(error) = ended {
                // The others would go on without it, and nobody would know.
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "a reconciler broke; the scheduler ends"
                );
                scheduler.stop.cancel();
            }
        }
    }

    fn start(&mut self) {
        let Ports { store, queue, blobs, live, post, clock, ids } = self.ports.clone();
        let options = self.options.clone();
        let (upkeep, sweep) = (options.upkeep_every, options.sweep_every);
        let nudge = Arc::new(Notify::new());
        let pools = dispatch::Pools::new(options.pools.clone());
        let dispatcher = Dispatcher::new(store.clone(), queue.clone(), live.clone(), options.dispatch);
        let dispatch = dispatch::Dispatch::new(dispatcher, store.clone(), pools.clone(), clock.clone());
        self.reconcile(dispatch, options.dispatch_every, nudge.clone());
        self.reconcile(jobs::Jobs::new(store.clone(), nudge.clone()), upkeep, Arc::default());
        let leases =
            leases::Leases::new(store.clone(), clock.clone(), ids.clone(), options.dead_after, nudge.clone());
        self.reconcile(leases, upkeep, Arc::default());
        self.reconcile(counts::Counts::new(store.clone(), live.clone()), upkeep, Arc::default());
        let stop = self.stop.clone();
        let webhooks = webhooks::Webhooks::new(store.clone(), post, clock.clone(), ids.clone(), stop);
        self.reconcile(webhooks, upkeep, Arc::default());
        let tickets = tickets::LostTickets::new(
            store.clone(),
            queue.clone(),
            clock,
            options.ticket_grace,
            pools.clone(),
        );
        self.reconcile(tickets, upkeep, Arc::default());
        self.reconcile(files::Orphans::new(store.clone(), blobs.clone()), sweep, Arc::default());
        self.reconcile(files::Retention::new(store.clone(), blobs, &options), sweep, Arc::default());
        self.tasks.spawn(parking::consume(store, queue, ids.clone(), self.stop.clone()));
        self.tasks.spawn(listen(live, pools, nudge, ids, self.stop.clone()));
    }

    fn reconcile(&mut self, reconciler: impl Reconciler + 'static, every: Duration, nudge: Arc<Notify>) {
        let rhythm = Rhythm { every, nudge, ids: self.ports.ids.clone(), stop: self.stop.clone() };
        self.tasks.spawn(run(Box::new(reconciler), rhythm));
    }
}

/// Passes nudges on to dispatch. They are hints: without them the timers do.
async fn listen(
    live: Arc<dyn Live>,
    pools: dispatch::Pools,
    nudge: Arc<Notify>,
    ids: Arc<dyn Ids>,
    stop: CancellationToken,
) {
    let heard = async {
        let mut events = subscribed(&*live, &[Topic::Scheduler], BACKOFF, &*ids).await;
        loop {
            match events.next().await {
                Heard::Event(_, LiveEvent::Nudge { pool }) => {
                    // Whoever may publish may make up names; what is none is nobody's pool.
                    if let Ok(pool) = pool.parse::<Pool>() {
                        pools.nudge(pool);
                        nudge.notify_one();
                    }
                }
                Heard::Event(..) => {}
                Heard::Gap => nudge.notify_one(),
            }
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = heard => {}
    }
}
