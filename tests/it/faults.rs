//! Processes are killed and frozen, servers are restarted and lose their data: nothing is lost, nothing is doubled.

use std::time::Duration;

use retouch_domain::{Band, JobId, JobState};
use retouch_ports::SystemIds;
use retouch_testkit::case::eventually;
use retouch_tests::account;
use retouch_tests::client::{self, acknowledged};
use serde_json::json;

use crate::scene::{Own, Scene};

const SHORT: Duration = Duration::from_millis(50);

/// Every point at which a worker can die between a ticket and its acknowledgement.
#[tokio::test]
async fn workers_die_at_every_point() {
    let mut scene = Scene::cluster(Own::default()).await;
    let _scheduler = scene.start("scheduler", &[], "");
    let points =
        ["worker.delivered", "worker.claimed", "worker.on_device", "worker.result_ready", "worker.committed"];
    for point in points {
        eprintln!("case: {point}");
        scene.submit(Band::Standard, 30, SHORT).await;
        let mut doomed = scene.start("worker", &[], &format!("{point}=kill@2"));
        doomed.died().await;
        let survivor = scene.start("worker", &[], "");
        scene.assert_done().await;
        drop(survivor);
    }
}

/// A job of a killed worker goes on elsewhere within a second or so, long before its lease ends.
#[tokio::test]
async fn a_killed_worker_is_followed_at_once() {
    let mut scene = Scene::cluster(Own::default()).await;
    let _scheduler = scene.start("scheduler", &[], "");
    let lease = ["--lease", "60000"];
    let mut killed = scene.start("worker", &lease, "");
    let jobs = scene.submit(Band::Standard, 4, Duration::from_secs(2)).await;
    scene.running(4).await;
    let _next = scene.start("worker", &lease, "");
    killed.kill();
    scene.assert_done().await;
    for job in jobs {
        // The crash is nobody's attempt: there were others on the device.
        assert_eq!(scene.attempts(job).await, (2, 0));
    }
}

#[tokio::test]
async fn schedulers_die_between_mark_and_ticket() {
    let mut scene = Scene::cluster(Own::default()).await;
    let _worker = scene.start("worker", &[], "");
    for _ in 0..2 {
        let mut doomed = scene.start("scheduler", &[], "dispatch.marked=kill@1");
        scene.submit(Band::Bulk, 20, SHORT).await;
        doomed.died().await;
    }
    let _one = scene.start("scheduler", &[], "");
    let _other = scene.start("scheduler", &[], "");
    scene.assert_done().await;
}

#[tokio::test]
async fn a_submitter_dies_before_it_could_tell() {
    let mut scene = Scene::cluster(Own::default()).await;
    let _scheduler = scene.start("scheduler", &[], "");
    let _worker = scene.start("worker", &[], "");
    let mut doomed = scene.start("submitter", &[], "submitter.stored=kill@4");
    doomed.died().await;
    let told = account::read(&acknowledged(&scene.site.folder)).unwrap();
    assert_eq!(told.len(), 3 * 20);
    scene.jobs.extend(told.iter().map(|id| id.parse::<JobId>().unwrap()));
    scene.assert_done().await;
}

/// A restart of the broker under 100 running jobs costs nothing: no takeover, no attempt.
#[tokio::test]
async fn the_broker_restarts_under_running_jobs() {
    let mut scene = Scene::cluster(Own { rabbitmq: true, ..Own::default() }).await;
    let _scheduler = scene.start("scheduler", &[], "");
    let _workers = [0; 2].map(|_| scene.start("worker", &["--slots", "60"], ""));
    let jobs = scene.submit(Band::Standard, 100, Duration::from_secs(20)).await;
    scene.running(100).await;
    scene.rabbitmq.as_ref().unwrap().restart().await;
    scene.assert_done().await;
    for job in jobs {
        assert_eq!(scene.attempts(job).await, (1, 0), "{job}");
    }
}

#[tokio::test]
async fn the_broker_loses_its_data() {
    let mut scene = Scene::cluster(Own { rabbitmq: true, ..Own::default() }).await;
    let _scheduler = scene.start("scheduler", &[], "");
    // Nobody works yet: the tickets are in the queue when it is lost.
    scene.submit(Band::Standard, 40, SHORT).await;
    eventually(async || scene.store.backlog().await.unwrap().iter().any(|part| part.dispatched > 0)).await;
    scene.rabbitmq.as_ref().unwrap().restart_empty().await;
    let _worker = scene.start("worker", &[], "");
    scene.assert_done().await;
}

#[tokio::test]
async fn the_database_restarts() {
    let mut scene = Scene::cluster(Own::default()).await;
    let _scheduler = scene.start("scheduler", &[], "");
    let _workers = [0; 2].map(|_| scene.start("worker", &["--lease", "20000"], ""));
    let jobs = scene.submit(Band::Standard, 60, Duration::from_millis(300)).await;
    scene.running(8).await;
    scene.postgres.as_ref().unwrap().restart().await;
    eventually(async || scene.store.now().await.is_ok()).await;
    scene.assert_done().await;
    for job in jobs {
        assert_eq!(scene.attempts(job).await.1, 0, "{job}");
    }
}

#[tokio::test]
async fn the_live_state_is_lost() {
    let mut scene = Scene::cluster(Own { redis: true, ..Own::default() }).await;
    let _scheduler = scene.start("scheduler", &[], "");
    let _worker = scene.start("worker", &[], "");
    scene.submit(Band::Standard, 20, SHORT).await;
    scene.assert_done().await;
    scene.redis.as_ref().unwrap().kill().await;
    let jobs = scene.submit(Band::Standard, 40, SHORT).await;
    scene.assert_done().await;
    for job in jobs {
        assert_eq!(scene.attempts(job).await, (1, 0), "{job}");
    }
}

/// Freeze, expire, thaw: what the thawed worker writes changes nothing, and the new owner is not disturbed.
#[tokio::test]
async fn a_worker_is_frozen_beyond_its_lease_and_thawed() {
    let mut scene = Scene::cluster(Own::default()).await;
    let _scheduler = scene.start("scheduler", &[], "");
    let frozen = scene.start("worker", &["--lease", "1500"], "");
    let jobs = scene.submit(Band::Standard, 4, Duration::from_secs(4)).await;
    scene.running(4).await;
    frozen.freeze();
    let _next = scene.start("worker", &["--lease", "1500"], "");
    // Tickets that the frozen one gets meanwhile are lost until their jobs get others.
    for job in &jobs {
        eventually(async || scene.job(*job).await.epoch == 2).await;
    }
    frozen.thaw();
    scene.assert_done().await;
    for job in jobs {
        // Lost once, uncharged; the second run was not taken from its owner.
        assert_eq!(scene.attempts(job).await, (2, 0), "{job}");
    }
}

/// One row that kills its worker among 200 good ones: it is found after three deaths at most, and takes nobody with it.
#[tokio::test]
async fn a_row_kills_its_worker() {
    let mut scene = Scene::cluster(Own::default()).await;
    let _scheduler = scene.start("scheduler", &[], "");
    let mut new = client::jobs(&SystemIds, 200, Duration::from_millis(100));
    new.insert(100, client::job(&SystemIds, json!({ "kill": true })));
    let killer = new[100].id;
    client::submit(&*scene.store, &SystemIds, client::tenant(1), Band::Standard, &new).await.unwrap();
    let mut workers: Vec<_> = (0..4).map(|_| scene.start("worker", &[], "")).collect();
    scene.jobs = new.iter().map(|job| job.id).collect();
    let mut deaths = 0;
    eventually(async || {
        for worker in &mut workers {
            if !worker.runs() {
                deaths += 1;
                assert!(deaths <= 3, "the row was not found");
                *worker = scene.start("worker", &[], "");
            }
        }
        client::unfinished(&*scene.store, &scene.jobs).await.unwrap().is_empty()
    })
    .await;
    assert_eq!(scene.state(killer).await, JobState::Failed);
    let error = scene.job(killer).await.error.unwrap();
    assert_eq!(error.code.as_str(), "crash");
    scene.jobs.retain(|job| *job != killer);
    scene.assert_done().await;
}

/// The same on the embedded backends: one process is everything, dies at each point, and its successor goes on.
#[tokio::test]
async fn an_embedded_process_dies_at_every_point() {
    let mut scene = Scene::embedded().await;
    let points = [
        "dispatch.marked",
        "worker.delivered",
        "worker.claimed",
        "worker.on_device",
        "worker.result_ready",
        "worker.committed",
    ];
    for point in points {
        eprintln!("case: {point}");
        scene.submit(Band::Standard, 20, SHORT).await;
        let mut doomed = scene.start("up", &[], &format!("{point}=kill@1"));
        doomed.died().await;
        let _next = scene.start("up", &[], "");
        scene.assert_done().await;
    }
}
