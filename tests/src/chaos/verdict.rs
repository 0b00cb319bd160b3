//! What was lost, what was doubled, and how long takeovers took: from the accounts outside of the system, and from what the
//! store tells its users.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::time::{Duration, Instant};

use retouch_domain::{JobId, JobState};
use retouch_ports::JobStore;

use super::Result;
use crate::client::{acknowledged, tenant, unfinished};
use crate::executor::{results, starts};
use crate::{account, auditor};

/// How long nothing may get done before what is left counts as lost.
const PATIENCE: Duration = Duration::from_secs(60);

/// The outcome of a run.
#[derive(Debug, Default)]
pub struct Verdict {
    /// Acknowledged jobs.
    pub jobs: usize,
    /// Faults.
    pub faults: u32,
    /// Each kind of fault, and how often it happened.
    pub by_name: BTreeMap<&'static str, u32>,
    /// Acknowledged jobs without a visible result.
    pub lost: usize,
    /// Visible results beyond the first, or other than the one that the store shows.
    pub doubled: usize,
    /// From the kill of a worker to the next start of its job: the time that 99 of 100 do not exceed.
    pub takeover_p99_ms: i64,
    /// What the audit found.
    pub findings: Vec<String>,
}

impl Verdict {
    /// Whether nothing was lost, nothing was doubled, and the store agrees with itself.
    pub fn sound(&self) -> bool {
        self.lost == 0 && self.doubled == 0 && self.findings.is_empty()
    }

    pub(super) async fn reach(
        store: &dyn JobStore,
        folder: &Path,
        by_name: BTreeMap<&'static str, u32>,
        killed: &[(u32, i64)],
    ) -> Result<Self> {
        let mut jobs = Vec::new();
        for id in account::read(&acknowledged(folder))? {
            jobs.push(id.parse::<JobId>()?);
        }
        worked_off(store, &jobs).await?;
        let mut verdict =
            Self { jobs: jobs.len(), faults: by_name.values().sum(), by_name, ..Self::default() };
        let mut visible = HashMap::new();
        for job in &jobs {
            let record = store.job(tenant(1), *job).await?;
            match record.filter(|record| record.state == JobState::Succeeded) {
                Some(record) => {
                    visible.insert(job.to_string(), record.epoch.to_string());
                }
                None => verdict.lost += 1,
            }
        }
        let mut seen: HashMap<String, String> = HashMap::new();
        for line in account::read(&results(folder))? {
            let (job, epoch) = line.split_once(' ').ok_or("a line of the results without an epoch")?;
            let first = seen.insert(job.to_owned(), epoch.to_owned()).is_none();
            let shown = visible.get(job).is_none_or(|shown| shown == epoch);
            verdict.doubled += usize::from(!(first && shown));
        }
        verdict.takeover_p99_ms = takeover_p99(&account::read(&starts(folder))?, killed);
        // Batches end when the last counts are folded.
        for _ in 0..50 {
            verdict.findings = auditor::findings(store).await?;
            if verdict.findings.is_empty() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        Ok(verdict)
    }
}

/// Waits until all jobs are over, or nothing gets done any more.
async fn worked_off(store: &dyn JobStore, jobs: &[JobId]) -> Result<()> {
    let (mut left, mut since) = (jobs.len() + 1, Instant::now());
    loop {
        let open = unfinished(store, jobs).await?.len();
        if open == 0 {
            return Ok(());
        }
        if open < left {
            (left, since) = (open, Instant::now());
        }
        if since.elapsed() > PATIENCE {
            eprintln!("{open} jobs are not over, and nothing gets done");
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

/// A job that a killed worker had begun, and that begins again in a later epoch.
fn takeover_p99(starts: &[String], killed: &[(u32, i64)]) -> i64 {
    let mut by_job: HashMap<&str, Vec<(u32, i64, u32)>> = HashMap::new();
    for line in starts {
        let words: Vec<&str> = line.split(' ').collect();
        if let [job, epoch, at, process] = words[..]
            && let (Ok(epoch), Ok(at), Ok(process)) = (epoch.parse(), at.parse(), process.parse())
        {
            by_job.entry(job).or_default().push((epoch, at, process));
        }
    }
    let mut waits = Vec::new();
    for runs in by_job.values_mut() {
        runs.sort_unstable();
        for pair in runs.windows(2) {
            let died = killed.iter().find(|(process, at)| *process == pair[0].2 && *at >= pair[0].1);
            if let Some((_, at)) = died {
                waits.push((pair[1].1 - at).max(0) / 1000);
            }
        }
    }
    waits.sort_unstable();
    waits.get((waits.len() * 99).div_ceil(100).saturating_sub(1)).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takeovers_are_read_from_the_starts() {
        let starts = ["a 1 1000 7", "a 2 901000 8", "b 1 1000 8", "c 1 5000 7", "c 2 700000 9"];
        let starts = starts.map(str::to_owned);
        assert_eq!(takeover_p99(&starts, &[(7, 101_000)]), 800);
        assert_eq!(takeover_p99(&starts, &[]), 0);
    }
}
