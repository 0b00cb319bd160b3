//! A site with its processes, and what must hold in the end.

use std::collections::{HashMap, HashSet};
use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use retouch_domain::{Band, JobId, JobState};
use retouch_ports::store::JobRecord;
use retouch_ports::{JobStore, SystemClock, SystemIds};
use retouch_testkit::case::{eventually, server_url};
use retouch_testkit::services::PrivateServer;
use retouch_tests::account;
use retouch_tests::executor::results;
use retouch_tests::process::Node;
use retouch_tests::site::Site;
use retouch_tests::{auditor, client};
use tempfile::TempDir;
use uuid::Uuid;

const PROGRAM: &str = env!("CARGO_BIN_EXE_retouch-node");

/// Which backends a scene has to itself, to restart and to kill; it shares the others with other tests.
#[derive(Default, Clone, Copy)]
pub struct Own {
    pub rabbitmq: bool,
    pub redis: bool,
}

/// A site and the jobs that were submitted there.
pub struct Scene {
    pub site: Site,
    pub store: Arc<dyn JobStore>,
    pub postgres: Option<PrivateServer>,
    pub rabbitmq: Option<PrivateServer>,
    pub redis: Option<PrivateServer>,
    pub jobs: Vec<JobId>,
    _folder: TempDir,
}

impl Scene {
    /// On PostgreSQL, RabbitMQ and Redis.
    pub async fn cluster(own: Own) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let postgres = PrivateServer::start("postgres").await;
        let rabbitmq = if own.rabbitmq { Some(PrivateServer::start("rabbitmq").await) } else { None };
        let redis = if own.redis { Some(PrivateServer::start("redis").await) } else { None };
        let url = |server: &Option<PrivateServer>, shared: &str| {
            server.as_ref().map_or_else(|| server_url(shared), |server| server.url().to_owned())
        };
        let site = Site {
            store: postgres.url().to_owned(),
            queue: url(&rabbitmq, "RETOUCH_TEST_RABBITMQ"),
            live: url(&redis, "RETOUCH_TEST_REDIS"),
            folder: folder.path().to_owned(),
            prefix: format!("t{}", Uuid::now_v7().simple()),
            connections: 8,
        };
        Self { postgres: Some(postgres), rabbitmq, redis, ..Self::at(site, folder).await }
    }

    /// On SQLite and what a process has in itself.
    pub async fn embedded() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self::at(Site::embedded(folder.path()), folder).await
    }

    async fn at(site: Site, folder: TempDir) -> Self {
        site.migrate().await.unwrap();
        let store = site.open_store(Arc::new(SystemClock)).await.unwrap();
        Self { site, store, postgres: None, rabbitmq: None, redis: None, jobs: Vec::new(), _folder: folder }
    }

    /// Starts a process that dies or freezes at `points`.
    pub fn start(&self, role: &str, words: &[&str], points: &str) -> Node {
        Node::start(PROGRAM, role, &self.site, words, points)
    }

    /// Submits jobs that take this long.
    pub async fn submit(&mut self, band: Band, count: usize, takes: Duration) -> Vec<JobId> {
        let jobs = client::jobs(&SystemIds, count, takes);
        client::submit(&*self.store, &SystemIds, client::tenant(1), band, &jobs).await.unwrap();
        let ids: Vec<JobId> = jobs.iter().map(|job| job.id).collect();
        self.jobs.extend(&ids);
        ids
    }

    pub async fn job(&self, job: JobId) -> JobRecord {
        self.store.job(client::tenant(1), job).await.unwrap().unwrap()
    }

    pub async fn state(&self, job: JobId) -> JobState {
        self.job(job).await.state
    }

    /// Waits until so many jobs run.
    pub async fn running(&self, count: usize) {
        eventually(async || {
            let backlog = self.store.backlog().await.unwrap();
            backlog.iter().map(|part| part.running).sum::<u64>() >= count as u64
        })
        .await;
    }

    /// Waits until all jobs are over and all counts are folded.
    pub async fn over(&self) {
        eventually(async || client::unfinished(&*self.store, &self.jobs).await.unwrap().is_empty()).await;
    }

    /// All jobs have succeeded, each with one visible result, and the store agrees with itself.
    pub async fn assert_done(&self) {
        self.over().await;
        let mut epochs = HashMap::new();
        for job in &self.jobs {
            let record = self.job(*job).await;
            assert_eq!(record.state, JobState::Succeeded, "{job}: {:?}", record.error);
            epochs.insert(job.to_string(), record.epoch.to_string());
        }
        let mut seen = HashSet::new();
        for line in account::read(&results(&self.site.folder)).unwrap() {
            let (job, epoch) = line.split_once(' ').unwrap();
            assert!(seen.insert(job.to_owned()), "{job} has two visible results");
            if let Some(visible) = epochs.get(job) {
                assert_eq!(visible, epoch, "{job}: another result is visible than was reported");
            }
        }
        self.assert_sound().await;
    }

    /// The audit finds nothing, once the last counts are folded.
    pub async fn assert_sound(&self) {
        eventually(async || {
            let findings = auditor::findings(&*self.store).await.unwrap();
            if !findings.is_empty() {
                eprintln!("{findings:?}");
            }
            findings.is_empty()
        })
        .await;
    }

    /// How many runs of a job ended, and how many of them were charged.
    pub async fn attempts(&self, job: JobId) -> (usize, usize) {
        let attempts = self.store.attempts(client::tenant(1), job).await.unwrap();
        (attempts.len(), attempts.iter().filter(|attempt| attempt.charged).count())
    }
}

/// Slots of workers in one process.
pub const SLOTS: NonZeroU16 = NonZeroU16::new(8).unwrap();
