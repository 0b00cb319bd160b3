//! The measurements.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use retouch_domain::{Band, NewJob};
use retouch_ports::Dispatcher;
use retouch_ports::queue::Message;
use retouch_ports::store::{LoadPart, Ticket};
use serde_json::json;

use super::floor::Counted;
use super::{Floor, Result, quantile};
use crate::process::micros;
use crate::site::{RULES, pool};
use crate::{account, client, executor};

/// Jobs of one transaction.
const PART: usize = 5000;

/// Stores jobs with a unique key each, as a bulk submission does; answers the batch, still closed, and jobs a second.
///
/// # Errors
/// As the store's.
pub async fn insert(floor: &Floor, count: usize) -> Result<(retouch_domain::BatchId, f64)> {
    let (store, ids) = (&floor.ports.store, &*floor.ports.ids);
    let batch = client::batch(ids, client::tenant(1), Band::Bulk);
    let jobs: Vec<NewJob> = (0..count)
        .map(|number| NewJob { key: Some(format!("{}-{number}", batch.id)), ..client::job(ids, json!({})) })
        .collect();
    let begun = Instant::now();
    store.begin_loading(&batch).await?;
    for (index, part) in jobs.chunks(PART).enumerate() {
        let from = (index * PART) as u64;
        let part = LoadPart { from, to: from + part.len() as u64, jobs: part, unreadable: 0 };
        store.load(batch.tenant, batch.id, part).await?;
    }
    Ok((batch.id, count as f64 / begun.elapsed().as_secs_f64()))
}

/// From the opening of a loaded batch until all of its jobs have results: jobs a second, and what the database counted for
/// each job.
///
/// # Errors
/// As the backends'.
pub async fn end_to_end(floor: &Floor, workers: usize, count: usize) -> Result<(f64, Counted)> {
    let (batch, _) = insert(floor, count).await?;
    let nodes = floor.start(workers, &["--bare", "--slots", "256", "--lease", "30000"]).await?;
    let before = floor.counted()?;
    let begun = Instant::now();
    let store = &floor.ports.store;
    store.open(client::tenant(1), batch, None).await?;
    while store.batch(client::tenant(1), batch).await?.is_none_or(|batch| batch.counts.live() > 0) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let seconds = begun.elapsed().as_secs_f64();
    // Sessions report what they counted at most once a second.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let after = floor.counted()?;
    floor.end(nodes).await?;
    let jobs = count as f64;
    let each = Counted {
        wal_bytes: (after.wal_bytes - before.wal_bytes) / jobs,
        commits: (after.commits - before.commits) / jobs,
    };
    Ok((jobs / seconds, each))
}

/// Milliseconds from a submission to the start of its job.
#[derive(Debug, Clone, Copy)]
pub struct Latency {
    /// Half of them are no longer.
    pub p50: f64,
    /// 99 of 100 are no longer.
    pub p99: f64,
    /// The median of one submission and one confirmed publication of a message alone.
    pub floor: f64,
}

/// One job after the other, dispatched right after its commit, on an idle worker.
///
/// # Errors
/// As the backends'.
pub async fn latency(floor: &Floor, count: usize) -> Result<Latency> {
    let nodes = floor.start(1, &["--slots", "16"]).await?;
    let ports = &floor.ports;
    let (store, queue) = (ports.store.clone(), ports.queue.clone());
    let dispatcher = Dispatcher::new(store.clone(), queue.clone(), ports.live.clone(), RULES);
    let mut submitted = HashMap::new();
    for _ in 0..count {
        let job = client::job(&*ports.ids, json!({}));
        submitted.insert(job.id.to_string(), micros());
        client::submit(&*store, &*ports.ids, client::tenant(1), Band::Interactive, &[job]).await?;
        dispatcher.dispatch(&pool()).await?;
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    let starts = executor::starts(&floor.site.folder);
    let mut waits = Vec::new();
    while waits.len() < count {
        tokio::time::sleep(Duration::from_millis(100)).await;
        waits = account::read(&starts)?
            .iter()
            .filter_map(|line| {
                let mut words = line.split(' ');
                let begun = submitted.get(words.next()?)?;
                Some((words.nth(1)?.parse::<i64>().ok()? - begun) as f64 / 1000.0)
            })
            .collect();
    }
    floor.end(nodes).await?;
    waits.sort_by(f64::total_cmp);
    Ok(Latency { p50: quantile(&waits, 0.5), p99: quantile(&waits, 0.99), floor: alone(floor, count).await? })
}

/// The median of one commit of a job and one confirmed message, nobody listening.
async fn alone(floor: &Floor, count: usize) -> Result<f64> {
    let ports = &floor.ports;
    let other = "nobody".parse()?;
    ports.queue.declare(&other).await?;
    let mut waits = Vec::new();
    for _ in 0..count {
        let job = NewJob { pool: other.clone(), ..client::job(&*ports.ids, json!({})) };
        let tenant = client::tenant(2);
        let ticket = Ticket { job: job.id, tenant, epoch: 0, band: Band::Interactive };
        let begun = Instant::now();
        client::submit(&*ports.store, &*ports.ids, tenant, Band::Interactive, &[job]).await?;
        ports.queue.publish(&other, &[Message::single(&ticket)]).await?;
        waits.push(begun.elapsed().as_secs_f64() * 1000.0);
    }
    waits.sort_by(f64::total_cmp);
    Ok(quantile(&waits, 0.5))
}

/// Milliseconds from `kill -9` of a worker to the next start of each of its jobs, in order.
///
/// # Errors
/// As the backends'.
pub async fn takeover(floor: &Floor, rounds: usize) -> Result<Vec<f64>> {
    let mut waits = Vec::new();
    for _ in 0..rounds {
        let words = ["--slots", "4", "--lease", "60000", "--off-device"];
        let mut nodes = floor.start(1, &words).await?;
        let jobs = client::jobs(&*floor.ports.ids, 4, Duration::from_millis(1500));
        let store = &*floor.ports.store;
        client::submit(store, &*floor.ports.ids, client::tenant(1), Band::Standard, &jobs).await?;
        let file = executor::starts(&floor.site.folder);
        let names: Vec<String> = jobs.iter().map(|job| job.id.to_string()).collect();
        let of_jobs = |lines: Vec<String>, epoch: &str| -> Vec<i64> {
            let ours =
                lines.into_iter().filter(|line| names.iter().any(|name| line.starts_with(name.as_str())));
            let words = ours.map(|line| line.split(' ').map(str::to_owned).collect::<Vec<_>>());
            words.filter(|words| words[1] == epoch).filter_map(|words| words[2].parse().ok()).collect()
        };
        while of_jobs(account::read(&file)?, "1").len() < jobs.len() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let survivor = floor.start_worker(&words);
        while floor.ports.live.workers(&pool()).await?.len() < 2 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let killed = micros();
        nodes[1].kill();
        let mut again = Vec::new();
        while again.len() < jobs.len() {
            tokio::time::sleep(Duration::from_millis(10)).await;
            again = of_jobs(account::read(&file)?, "2");
        }
        waits.extend(again.into_iter().map(|at| (at - killed) as f64 / 1000.0));
        nodes.push(survivor);
        floor.end(nodes).await?;
    }
    waits.sort_by(f64::total_cmp);
    Ok(waits)
}
