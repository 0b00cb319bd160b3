//! Measures the queue plane on servers of its own; `docs/benchmarks.md` says how to read it.

use clap::Parser;
use retouch_tests::bench::{Floor, end_to_end, insert, latency, quantile, takeover};
use retouch_tests::site::Site;

/// Rates and latencies of the queue plane with jobs that do nothing.
#[derive(Parser)]
struct Cli {
    /// Jobs that are inserted
    #[arg(long, default_value_t = 100_000)]
    inserted: usize,
    /// Jobs of each end-to-end measurement
    #[arg(long, default_value_t = 20_000)]
    jobs: usize,
    /// Jobs whose latency is measured
    #[arg(long, default_value_t = 200)]
    samples: usize,
    /// Workers that are killed
    #[arg(long, default_value_t = 10)]
    kills: usize,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let cli = Cli::parse();
    let program = std::env::current_exe()?.with_file_name("retouch-node").display().to_string();
    let folder = tempfile::tempdir()?;
    let (site, _servers) = Site::on_servers(folder.path(), "bench", 8).await;
    let floor = Floor::open(site, program).await?;
    let (batch, rate) = insert(&floor, cli.inserted).await?;
    println!("insert {} jobs with unique keys: {rate:.0} jobs/s", cli.inserted);
    floor.ports.store.abandon(retouch_tests::client::tenant(1), batch).await?;
    for workers in [1, 2, 4] {
        let (rate, each) = end_to_end(&floor, workers, cli.jobs).await?;
        println!(
            "end to end, {workers} workers: {rate:.0} jobs/s, {:.0} bytes of WAL and {:.3} commits a job",
            each.wal_bytes, each.commits
        );
    }
    let latency = latency(&floor, cli.samples).await?;
    println!(
        "enqueue to start, idle: p50 {:.1} ms, p99 {:.1} ms; one commit and one confirmed publish: {:.1} ms; p50 is {:.1} of \
         these",
        latency.p50,
        latency.p99,
        latency.floor,
        latency.p50 / latency.floor
    );
    let waits = takeover(&floor, cli.kills).await?;
    println!(
        "takeover after kill -9: p50 {:.0} ms, p99 {:.0} ms of {}",
        quantile(&waits, 0.5),
        quantile(&waits, 0.99),
        waits.len()
    );
    Ok(())
}
