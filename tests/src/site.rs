//! Where the processes of a test meet: the addresses of its backends, and what is opened there.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use retouch_domain::Pool;
use retouch_fetch::{Client, Policy};
use retouch_live_redis::RedisLive;
use retouch_local::{FileBlobStore, LocalLive, LocalQueue};
use retouch_ports::{
    Clock, DispatchRules, Ids, JobQueue, JobStore, Live, PortError, Ports, SystemClock, SystemIds,
};
use retouch_queue_rabbitmq::RabbitQueue;
use retouch_store_postgres::{PostgresOptions, PostgresStore};
use retouch_store_sqlite::SqliteStore;
use retouch_testkit::services::PrivateServer;

/// Connections of a process that read a SQLite file.
const READERS: u32 = 4;

/// Addresses, as they are handed to processes.
#[derive(Debug, Clone, Args)]
pub struct Site {
    /// `postgres://…` or `sqlite:…`
    #[arg(long)]
    pub store: String,
    /// `amqp://…` or `local:`
    #[arg(long)]
    pub queue: String,
    /// `redis://…` or `local:`
    #[arg(long)]
    pub live: String,
    /// The folder of the files, and of the accounts that are kept outside of the system.
    #[arg(long)]
    pub folder: PathBuf,
    /// Of the names of queues and keys.
    #[arg(long)]
    pub prefix: String,
    /// Connections to PostgreSQL for each process.
    #[arg(long, default_value_t = 8)]
    pub connections: u32,
}

impl Site {
    /// A site of one process, in a folder that is there.
    pub fn embedded(folder: &std::path::Path) -> Self {
        Self {
            store: format!("sqlite:{}", folder.join("jobs.db").display()),
            queue: "local:".to_owned(),
            live: "local:".to_owned(),
            folder: folder.to_owned(),
            prefix: "retouch".to_owned(),
            connections: 1,
        }
    }

    /// A site on servers of its own: PostgreSQL, RabbitMQ and Redis, which are killed when they are dropped.
    pub async fn on_servers(
        folder: &std::path::Path,
        prefix: &str,
        connections: u32,
    ) -> (Self, [PrivateServer; 3]) {
        let (postgres, rabbitmq, redis) = tokio::join!(
            PrivateServer::start("postgres"),
            PrivateServer::start("rabbitmq"),
            PrivateServer::start("redis"),
        );
        let site = Self {
            store: postgres.url().to_owned(),
            queue: rabbitmq.url().to_owned(),
            live: redis.url().to_owned(),
            folder: folder.to_owned(),
            prefix: prefix.to_owned(),
            connections,
        };
        (site, [postgres, rabbitmq, redis])
    }

    /// The words of a command line that say the same.
    pub fn words(&self) -> Vec<String> {
        let folder = self.folder.display().to_string();
        let connections = self.connections.to_string();
        [
            ("--store", &self.store),
            ("--queue", &self.queue),
            ("--live", &self.live),
            ("--folder", &folder),
            ("--prefix", &self.prefix),
            ("--connections", &connections),
        ]
        .into_iter()
        .flat_map(|(flag, value)| [flag.to_owned(), value.clone()])
        .collect()
    }

    /// Makes the schema.
    ///
    /// # Errors
    /// As the store's.
    pub async fn migrate(&self) -> Result<(), PortError> {
        if self.store.starts_with("sqlite:") {
            SqliteStore::migrate(&self.store).await
        } else {
            PostgresStore::migrate(&self.store).await
        }
    }

    /// Opens everything.
    ///
    /// # Errors
    /// As the backends'.
    pub async fn open(&self) -> Result<Ports, PortError> {
        let (clock, ids): (Arc<dyn Clock>, Arc<dyn Ids>) = (Arc::new(SystemClock), Arc::new(SystemIds));
        let store = self.open_store(clock.clone()).await?;
        let queue: Arc<dyn JobQueue> = if self.queue == "local:" {
            Arc::new(LocalQueue::default())
        } else {
            Arc::new(RabbitQueue::connect(&self.queue, &self.prefix, ids.clone()).await?)
        };
        let live: Arc<dyn Live> = if self.live == "local:" {
            Arc::new(LocalLive::new(clock.clone()))
        } else {
            Arc::new(RedisLive::open(&self.live, &self.prefix, clock.clone(), ids.clone())?)
        };
        let blobs = Arc::new(FileBlobStore::open(self.folder.join("blobs")).await?);
        let post = Arc::new(Client::new(Policy::default()));
        Ok(Ports { store, queue, blobs, live, post, clock, ids })
    }

    /// Opens the store alone.
    ///
    /// # Errors
    /// As the store's.
    pub async fn open_store(&self, clock: Arc<dyn Clock>) -> Result<Arc<dyn JobStore>, PortError> {
        if self.store.starts_with("sqlite:") {
            return Ok(Arc::new(SqliteStore::open(&self.store, READERS, clock).await?));
        }
        let options = PostgresOptions { connections: self.connections, ..PostgresOptions::default() };
        Ok(Arc::new(PostgresStore::open(&self.store, options).await?))
    }
}

/// The pool of all jobs of tests.
pub fn pool() -> Pool {
    "cpu".parse().expect("a name")
}

/// How dispatch works in tests: as in production.
pub const RULES: DispatchRules =
    DispatchRules { tickets_per_slot: 4, least_window: 16, share_of: 10, run: 8 };

/// A scheduler that mends things quickly, so that tests need not wait long.
pub fn scheduler_options(ticket_grace: Duration) -> retouch_scheduler::Options {
    retouch_scheduler::Options {
        dispatch: RULES,
        pools: vec![pool()],
        dispatch_every: Duration::from_millis(100),
        upkeep_every: Duration::from_millis(200),
        sweep_every: Duration::from_secs(2),
        ticket_grace,
        dead_after: Duration::from_millis(1000),
        keep_batches: None,
        keep_deliveries: Duration::from_secs(3600),
        keep_answers: Duration::from_secs(3600),
        keep_loading: Duration::from_secs(3600),
    }
}
