//! The processes of a benchmark.

use std::process::Command;
use std::time::Duration;

use retouch_ports::Ports;

use super::Result;
use crate::process::Node;
use crate::site::Site;

/// A site, and the processes on it.
pub struct Floor {
    /// The addresses.
    pub site: Site,
    /// What this process works on.
    pub ports: Ports,
    program: String,
}

/// What PostgreSQL has counted.
#[derive(Debug, Clone, Copy)]
pub struct Counted {
    /// Bytes of its log.
    pub wal_bytes: f64,
    /// Transactions that were committed, reading ones too.
    pub commits: f64,
}

impl Floor {
    /// A site whose schema is there.
    ///
    /// # Errors
    /// As the backends'.
    pub async fn open(site: Site, program: String) -> Result<Self> {
        site.migrate().await?;
        Ok(Self { ports: site.open().await?, site, program })
    }

    /// A scheduler, and workers that hold so many jobs each. They are ready when this returns.
    ///
    /// # Errors
    /// As the live state's.
    pub async fn start(&self, workers: usize, words: &[&str]) -> Result<Vec<Node>> {
        let mut nodes = vec![Node::start(&self.program, "scheduler", &self.site, &[], "")];
        for _ in 0..workers {
            nodes.push(self.start_worker(words));
        }
        let pool = crate::site::pool();
        while self.ports.live.workers(&pool).await?.len() < workers {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(nodes)
    }

    /// One worker.
    pub fn start_worker(&self, words: &[&str]) -> Node {
        Node::start(&self.program, "worker", &self.site, words, "")
    }

    /// Ends processes in good order, so that none is seen by the next measurement.
    ///
    /// # Errors
    /// As the live state's.
    pub async fn end(&self, mut nodes: Vec<Node>) -> Result<()> {
        nodes.iter().for_each(Node::terminate);
        while nodes.iter_mut().any(Node::runs) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let pool = crate::site::pool();
        while !self.ports.live.workers(&pool).await?.is_empty() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    /// What the database has counted up to now, through `psql`.
    ///
    /// # Errors
    /// If `psql` is not there or fails.
    pub fn counted(&self) -> Result<Counted> {
        let query = "select pg_current_wal_insert_lsn() - '0/0'::pg_lsn, xact_commit from pg_stat_database \
                     where datname = current_database()";
        let output =
            Command::new("psql").args(["--no-psqlrc", "-AtF,", "-c", query, &self.site.store]).output()?;
        let text = String::from_utf8(output.stdout)?;
        let (wal, commits) = text.trim().split_once(',').ok_or("psql says nothing")?;
        Ok(Counted { wal_bytes: wal.parse()?, commits: commits.parse()? })
    }
}
