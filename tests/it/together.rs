//! Scheduler and workers in one process: what users ask for happens.

use std::sync::Arc;
use std::time::Duration;

use retouch_domain::{Band, BatchState, JobId, JobState};
use retouch_ports::{Ports, SystemIds};
use retouch_testkit::case::{eventually, soon};
use retouch_tests::client;
use retouch_tests::executor::Nothing;
use retouch_tests::site::{Site, pool, scheduler_options};
use retouch_worker::{Options, WorkerError};
use serde_json::json;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::scene::{SLOTS, Scene};

/// Services of one process.
struct Running {
    ports: Ports,
    stop: CancellationToken,
    scheduler: JoinHandle<()>,
    worker: JoinHandle<Result<(), WorkerError>>,
    worker_stop: CancellationToken,
}

impl Running {
    async fn start(scene: &Scene) -> Self {
        let ports = scene.site.open().await.unwrap();
        let stop = CancellationToken::new();
        let options = scheduler_options(Duration::from_millis(500));
        let scheduler = retouch_scheduler::Scheduler::run(ports.clone(), options, stop.clone());
        let (worker, worker_stop) = work(&scene.site, &ports);
        Self { scheduler: tokio::spawn(scheduler), worker, worker_stop, ports, stop }
    }

    async fn end(self) {
        self.stop.cancel();
        self.worker_stop.cancel();
        soon(self.scheduler).await.unwrap();
        soon(self.worker).await.unwrap().unwrap();
    }
}

fn work(site: &Site, ports: &Ports) -> (JoinHandle<Result<(), WorkerError>>, CancellationToken) {
    let stop = CancellationToken::new();
    let options = Options { lease: Duration::from_millis(900), ..Options::new(pool(), SLOTS) };
    let executor = Arc::new(Nothing::on_account(&site.folder).unwrap());
    let worker = retouch_worker::worker::run(ports.clone().into(), executor, options, stop.clone());
    (tokio::spawn(worker), stop)
}

async fn submit(scene: &mut Scene, payloads: impl IntoIterator<Item = serde_json::Value>) -> Vec<JobId> {
    let jobs: Vec<_> = payloads.into_iter().map(|payload| client::job(&SystemIds, payload)).collect();
    client::submit(&*scene.store, &SystemIds, client::tenant(1), Band::Standard, &jobs).await.unwrap();
    jobs.iter().map(|job| job.id).collect()
}

#[tokio::test]
async fn jobs_of_all_bands_are_worked_off() {
    let mut scene = Scene::embedded().await;
    let running = Running::start(&scene).await;
    for band in Band::ALL {
        scene.submit(band, 40, Duration::ZERO).await;
    }
    scene.assert_done().await;
    running.end().await;
}

#[tokio::test]
async fn a_transient_failure_is_tried_three_times() {
    let mut scene = Scene::embedded().await;
    let running = Running::start(&scene).await;
    let jobs = submit(&mut scene, [json!({ "fail": "transient" })]).await;
    eventually(async || scene.state(jobs[0]).await == JobState::Failed).await;
    assert_eq!(scene.attempts(jobs[0]).await, (3, 3));
    scene.assert_sound().await;
    running.end().await;
}

#[tokio::test]
async fn a_running_job_is_canceled_by_its_heartbeat() {
    let mut scene = Scene::embedded().await;
    let running = Running::start(&scene).await;
    let jobs = submit(&mut scene, [json!({ "ms": 100_000 })]).await;
    eventually(async || scene.state(jobs[0]).await == JobState::Running).await;
    running.ports.store.cancel_job(client::tenant(1), jobs[0]).await.unwrap();
    eventually(async || scene.state(jobs[0]).await == JobState::Canceled).await;
    scene.assert_sound().await;
    running.end().await;
}

/// A worker that drains hands its runs over, uncharged, and another goes on.
#[tokio::test]
async fn a_drained_worker_hands_over() {
    let mut scene = Scene::embedded().await;
    let mut running = Running::start(&scene).await;
    let jobs = submit(&mut scene, [json!({ "ms": 3000 }), json!({ "ms": 3000 })]).await;
    eventually(async || scene.state(jobs[1]).await == JobState::Running).await;
    running.worker_stop.cancel();
    soon(&mut running.worker).await.unwrap().unwrap();
    assert_ne!(scene.state(jobs[0]).await, JobState::Running);
    (running.worker, running.worker_stop) = work(&scene.site, &running.ports);
    scene.jobs = jobs.clone();
    scene.assert_done().await;
    for job in jobs {
        assert_eq!(scene.attempts(job).await, (2, 0));
    }
    running.end().await;
}

/// What was paused is not started, and what ran is handed over and goes on later.
#[tokio::test]
async fn a_batch_is_paused_and_goes_on() {
    let mut scene = Scene::embedded().await;
    let running = Running::start(&scene).await;
    let jobs = submit(&mut scene, vec![json!({ "ms": 1500 }); 30]).await;
    eventually(async || scene.state(jobs[0]).await == JobState::Running).await;
    let batch = scene.job(jobs[0]).await.batch;
    running.ports.store.pause(client::tenant(1), batch, true).await.unwrap();
    let none_runs = async || scene.store.holders().await.unwrap().is_empty();
    eventually(none_runs).await;
    running.ports.store.resume(client::tenant(1), batch).await.unwrap();
    scene.jobs = jobs;
    scene.assert_done().await;
    let ended = async || {
        let record = scene.store.batch(client::tenant(1), batch).await.unwrap().unwrap();
        record.state == BatchState::Completed
    };
    eventually(ended).await;
    running.end().await;
}
