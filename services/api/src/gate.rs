//! Whether there is room for more jobs, and the dispatch of those that came.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use retouch_domain::Pool;
use retouch_ports::jobs::pairs;

use crate::app::App;
use crate::problem::{Answer, Problem};

/// How old the knowledge of the queue may be.
const FRESH: Duration = Duration::from_secs(1);

/// What is known of the queue: how many jobs wait, and since when that is known.
#[derive(Default)]
pub(crate) struct Depth(Mutex<Option<(Instant, u64)>>);

impl Depth {
    fn known(&self) -> Option<u64> {
        let known = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.filter(|(at, _)| at.elapsed() < FRESH).map(|(_, waiting)| waiting)
    }

    fn learn(&self, waiting: u64) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), waiting));
    }
}

/// Lets a submission in if not too many jobs wait.
pub(crate) async fn enter(app: &App) -> Answer<()> {
    let waiting = match app.depth.known() {
        Some(waiting) => waiting,
        None => {
            let backlog = app.store.backlog().await?;
            let waiting = backlog.iter().map(|line| line.queued + line.dispatched).sum();
            app.depth.learn(waiting);
            waiting
        }
    };
    if waiting < app.options.most_waiting {
        return Ok(());
    }
    let detail =
        format!("{waiting} jobs wait already, which is as many as this server takes: try again later");
    Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, "queue_full", detail).after(Duration::from_secs(10)))
}

/// Hands out tickets for what was stored, without anybody waiting for it. What fails here the scheduler does.
pub(crate) fn dispatch(app: &App, pool: &Pool) {
    let (app, pool) = (app.clone(), pool.clone());
    tokio::spawn(async move {
        if let Err(error) = app.dispatcher.dispatch(&pool).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "dispatch is left to the scheduler");
        }
    });
}

/// The same for jobs of a batch whose kind is not known: those of every pool that this API makes jobs for.
pub(crate) fn dispatch_all(app: &App) {
    let pools = [Some(app.options.pool.clone()), pairs::POOL.parse().ok()];
    pools.into_iter().flatten().for_each(|pool| dispatch(app, &pool));
}
