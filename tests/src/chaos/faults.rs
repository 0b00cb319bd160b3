//! One fault after the other, chosen by a seed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use retouch_domain::Band;
use retouch_ports::Ports;
use retouch_ports::queue::QueueKey;
use retouch_testkit::services::PrivateServer;
use tokio::task::JoinSet;

use super::{Result, Verdict};
use crate::process::{Node, micros};
use crate::site::{Site, pool};

const WORKERS: usize = 3;
const SCHEDULERS: usize = 2;
const SUBMITTERS: usize = 2;
/// Milliseconds that a worker's lease lasts.
const LEASE: u64 = 2000;
/// Milliseconds that no run reaches: lost tickets stay lost.
const NEVER: &str = "100000000000";

/// What keeps jobs safe, to be switched off.
#[derive(Debug, Clone, Copy)]
pub struct Switches {
    /// Results of lost runs do not count.
    pub fence: bool,
    /// Lost tickets are replaced.
    pub reminting: bool,
}

/// The processes and servers that faults befall.
pub struct Faults {
    program: String,
    site: Site,
    ports: Ports,
    servers: Arc<[PrivateServer; 3]>,
    random: ChaCha8Rng,
    switches: Switches,
    workers: Vec<Node>,
    schedulers: Vec<Node>,
    submitters: Vec<Node>,
    by_name: BTreeMap<&'static str, u32>,
    /// Workers that were killed, and when.
    killed: Vec<(u32, i64)>,
    /// A server that is being restarted: one at a time.
    restarting: JoinSet<()>,
}

impl Faults {
    /// Starts all processes.
    ///
    /// # Errors
    /// If the backends cannot be opened.
    pub async fn begin(
        program: String,
        site: Site,
        servers: [PrivateServer; 3],
        seed: u64,
        switches: Switches,
    ) -> Result<Self> {
        let mut faults = Self {
            ports: site.open().await?,
            program,
            site,
            servers: Arc::new(servers),
            random: ChaCha8Rng::seed_from_u64(seed),
            switches,
            workers: Vec::new(),
            schedulers: Vec::new(),
            submitters: Vec::new(),
            by_name: BTreeMap::new(),
            killed: Vec::new(),
            restarting: JoinSet::new(),
        };
        faults.ports.queue.declare(&pool()).await?;
        faults.workers = (0..WORKERS).map(|_| faults.worker("")).collect();
        faults.schedulers = (0..SCHEDULERS).map(|_| faults.scheduler()).collect();
        faults.submitters = (0..SUBMITTERS).map(|_| faults.submitter()).collect();
        Ok(faults)
    }

    fn worker(&self, points: &str) -> Node {
        let lease = LEASE.to_string();
        let mut words = vec!["--lease", &lease];
        if !self.switches.fence {
            words.push("--unfenced");
        }
        Node::start(&self.program, "worker", &self.site, &words, points)
    }

    fn scheduler(&self) -> Node {
        let words: &[&str] = if self.switches.reminting { &[] } else { &["--ticket-grace", NEVER] };
        Node::start(&self.program, "scheduler", &self.site, words, "")
    }

    fn submitter(&self) -> Node {
        let words = ["--jobs", "20", "--takes", "60", "--pause", "900"];
        Node::start(&self.program, "submitter", &self.site, &words, "")
    }

    /// Waits a moment, lets one fault happen, and brings back what is gone.
    ///
    /// # Errors
    /// None that a fault explains.
    pub async fn next(&mut self) -> Result<()> {
        tokio::time::sleep(Duration::from_millis(self.random.random_range(500..2000))).await;
        while self.restarting.try_join_next().is_some() {}
        let name = match self.random.random_range(0..100) {
            0..25 => self.kill_worker(),
            25..40 => self.freeze_worker(),
            40..52 => self.point_worker(),
            52..64 => self.kill_scheduler(),
            64..74 => self.kill_submitter(),
            74..84 => self.lose_tickets().await,
            84..90 => self.double_tickets().await,
            90..93 => self.restart("broker restarted", 1, false),
            93..94 => self.restart("broker lost its data", 1, true),
            94..97 => self.restart("database restarted", 0, false),
            _ => self.restart("live state lost", 2, true),
        };
        if let Some(name) = name {
            *self.by_name.entry(name).or_default() += 1;
        }
        self.bring_back();
        Ok(())
    }

    /// Starts again what has died, at a point of its own or since a backend failed it.
    fn bring_back(&mut self) {
        for index in 0..WORKERS {
            if !self.workers[index].runs() {
                self.workers[index] = self.worker("");
            }
        }
        for index in 0..SCHEDULERS {
            if !self.schedulers[index].runs() {
                self.schedulers[index] = self.scheduler();
            }
        }
        for index in 0..SUBMITTERS {
            if !self.submitters[index].runs() {
                self.submitters[index] = self.submitter();
            }
        }
    }

    fn kill_worker(&mut self) -> Option<&'static str> {
        let index = self.random.random_range(0..WORKERS);
        // What a kill during the restart of a server takes is that server's doing.
        if self.restarting.is_empty() {
            self.killed.push((self.workers[index].id(), micros()));
        }
        self.workers[index].kill();
        Some("worker killed")
    }

    /// For longer than its lease, and then thawed. It is not one of the workers meanwhile.
    fn freeze_worker(&mut self) -> Option<&'static str> {
        let index = self.random.random_range(0..WORKERS);
        let next = self.worker("");
        let frozen = std::mem::replace(&mut self.workers[index], next);
        frozen.freeze();
        let length = Duration::from_millis(LEASE + self.random.random_range(500..2500));
        tokio::spawn(async move {
            tokio::time::sleep(length).await;
            frozen.thaw();
            // Time to write what it holds, before it ends.
            tokio::time::sleep(Duration::from_secs(2)).await;
            frozen.terminate();
            tokio::time::sleep(Duration::from_secs(6)).await;
        });
        Some("worker frozen and thawed")
    }

    fn point_worker(&mut self) -> Option<&'static str> {
        const POINTS: [&str; 5] = [
            "worker.delivered",
            "worker.claimed",
            "worker.on_device",
            "worker.result_ready",
            "worker.committed",
        ];
        let index = self.random.random_range(0..WORKERS);
        let point = POINTS[self.random.random_range(0..POINTS.len())];
        let count = self.random.random_range(1..10);
        self.workers[index] = self.worker(&format!("{point}=kill@{count}"));
        Some("worker killed at a point")
    }

    fn kill_scheduler(&mut self) -> Option<&'static str> {
        let index = self.random.random_range(0..SCHEDULERS);
        self.schedulers[index].kill();
        Some("scheduler killed")
    }

    fn kill_submitter(&mut self) -> Option<&'static str> {
        let index = self.random.random_range(0..SUBMITTERS);
        self.submitters[index].kill();
        Some("submitter killed")
    }

    /// Takes tickets off a queue and drops them.
    async fn lose_tickets(&mut self) -> Option<&'static str> {
        let band = Band::ALL[self.random.random_range(0..Band::ALL.len())];
        let key = QueueKey { pool: pool(), band };
        let take = async {
            let mut thief = self.ports.queue.consume(&key, 20_u16.try_into().ok()?).await.ok()?;
            let delivery = thief.next().await.ok()?;
            delivery.ack().await.ok().filter(|acked| *acked)
        };
        tokio::time::timeout(Duration::from_secs(1), take).await.ok()??;
        Some("ticket lost")
    }

    /// Sends a ticket a second time: one that waits in a queue.
    async fn double_tickets(&mut self) -> Option<&'static str> {
        let band = Band::ALL[self.random.random_range(0..Band::ALL.len())];
        let key = QueueKey { pool: pool(), band };
        let double = async {
            let mut reader = self.ports.queue.consume(&key, 1_u16.try_into().ok()?).await.ok()?;
            let delivery = reader.next().await.ok()?;
            let twice = [delivery.message.clone(), delivery.message.clone()];
            // The one that is held comes again when the reader is gone.
            self.ports.queue.publish(&pool(), &twice).await.ok()
        };
        tokio::time::timeout(Duration::from_secs(1), double).await.ok()??;
        Some("ticket doubled")
    }

    fn restart(&mut self, name: &'static str, server: usize, wipe: bool) -> Option<&'static str> {
        if !self.restarting.is_empty() {
            return None;
        }
        let servers = self.servers.clone();
        self.restarting.spawn(async move {
            if wipe {
                servers[server].restart_empty().await;
            } else {
                servers[server].restart().await;
            }
        });
        Some(name)
    }

    /// Ends the faults and the submissions, lets everything be worked off, and reads the accounts.
    ///
    /// # Errors
    /// If the store or the accounts cannot be read.
    pub async fn settle(mut self) -> Result<Verdict> {
        while self.restarting.join_next().await.is_some() {}
        self.submitters.clear();
        for index in 0..WORKERS {
            if !self.workers[index].runs() {
                self.workers[index] = self.worker("");
            }
        }
        for index in 0..SCHEDULERS {
            if !self.schedulers[index].runs() {
                self.schedulers[index] = self.scheduler();
            }
        }
        Verdict::reach(&*self.ports.store, &self.site.folder, self.by_name, &self.killed).await
    }
}
