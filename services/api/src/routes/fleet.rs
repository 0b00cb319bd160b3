//! What does the work, and what waits for it: workers, their models, queues.

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::State;
use retouch_domain::Pool;
use retouch_ports::live::WorkerPresence;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::door::{Admin, Reader};
use crate::problem::{Answer, Problem};

pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_models))
        .routes(routes!(list_workers))
        .routes(routes!(list_queues))
}

/// A model that edits may name.
#[derive(Debug, Serialize, ToSchema)]
struct ModelObject {
    /// Its name.
    name: String,
    /// The edits that name no model are done with it.
    default: bool,
    /// How many workers have it.
    workers: u32,
    /// How many of these have it on their device, so that edits need not wait for it.
    loaded: u32,
}

/// The models.
#[derive(Debug, Serialize, ToSchema)]
struct ModelList {
    /// In the order of their names.
    models: Vec<ModelObject>,
}

/// List the models that the workers who do edits have.
///
/// Only of workers that are there, so the list is empty while none is.
#[utoipa::path(
    get, path = "/v1/models", tag = "fleet", security(("key" = ["read"])),
    responses((status = OK, body = ModelList), (status = "4XX", body = Problem))
)]
async fn list_models(Reader(_): Reader, State(app): State<App>) -> Answer<axum::Json<ModelList>> {
    let mut models: BTreeMap<String, ModelObject> = BTreeMap::new();
    for worker in app.live.workers(&app.options.pool).await? {
        for model in worker.models {
            let default = app.options.model.as_ref() == Some(&model.name);
            let object = ModelObject { name: model.name.clone(), default, workers: 0, loaded: 0 };
            let object = models.entry(model.name).or_insert(object);
            object.workers += 1;
            object.loaded += u32::from(model.loaded);
        }
    }
    Ok(axum::Json(ModelList { models: models.into_values().collect() }))
}

/// A worker that is there.
#[derive(Debug, Serialize, ToSchema)]
struct WorkerObject {
    /// The id of its life: another one when it is started again.
    id: String,
    /// The pool whose jobs it runs.
    pool: String,
    /// Jobs of each band that it runs at a time.
    slots: u32,
    /// It takes no new jobs.
    draining: bool,
    /// The models that it has.
    models: Vec<String>,
    /// Those of them that are on its device.
    loaded: Vec<String>,
}

impl From<WorkerPresence> for WorkerObject {
    fn from(worker: WorkerPresence) -> Self {
        let loaded = worker.models.iter().filter(|model| model.loaded);
        Self {
            id: worker.boot.to_string(),
            pool: worker.pool.to_string(),
            slots: worker.slots,
            draining: worker.draining,
            loaded: loaded.map(|model| model.name.clone()).collect(),
            models: worker.models.into_iter().map(|model| model.name).collect(),
        }
    }
}

/// The workers.
#[derive(Debug, Serialize, ToSchema)]
struct WorkerList {
    /// Pool by pool, in the order of their ids.
    workers: Vec<WorkerObject>,
}

/// List the workers that are there.
///
/// Of the pools of this server's settings and of those that have work.
#[utoipa::path(
    get, path = "/v1/workers", tag = "fleet", security(("key" = ["admin"])),
    responses((status = OK, body = WorkerList), (status = "4XX", body = Problem))
)]
async fn list_workers(Admin(_): Admin, State(app): State<App>) -> Answer<axum::Json<WorkerList>> {
    let mut pools: BTreeSet<Pool> = app.options.pools.iter().cloned().collect();
    pools.extend(app.store.backlog().await?.into_iter().map(|line| line.pool));
    let mut workers = Vec::new();
    for pool in pools {
        workers.extend(app.live.workers(&pool).await?.into_iter().map(WorkerObject::from));
    }
    Ok(axum::Json(WorkerList { workers }))
}

/// What waits and runs of a pool in a band.
#[derive(Debug, Serialize, ToSchema)]
struct QueueObject {
    /// The pool.
    pool: String,
    /// The priority class.
    band: &'static str,
    /// Jobs that wait, with and without a ticket.
    waiting: u64,
    /// Those of them whose ticket is on its way to a worker.
    dispatched: u64,
    /// Jobs that run.
    running: u64,
    /// The estimated device time of the jobs without a ticket, in seconds.
    waiting_seconds: f64,
}

/// The queues.
#[derive(Debug, Serialize, ToSchema)]
struct QueueList {
    /// Those that are not empty, by pool and band.
    queues: Vec<QueueObject>,
}

/// List what waits and runs, of all tenants together.
#[utoipa::path(
    get, path = "/v1/queues", tag = "fleet", security(("key" = ["admin"])),
    responses((status = OK, body = QueueList), (status = "4XX", body = Problem))
)]
async fn list_queues(Admin(_): Admin, State(app): State<App>) -> Answer<axum::Json<QueueList>> {
    let backlog = app.store.backlog().await?;
    let queues = backlog.into_iter().map(|line| QueueObject {
        pool: line.pool.to_string(),
        band: line.band.code(),
        waiting: line.queued + line.dispatched,
        dispatched: line.dispatched,
        running: line.running,
        waiting_seconds: line.queued_cost_ms as f64 / 1000.0,
    });
    Ok(axum::Json(QueueList { queues: queues.collect() }))
}
