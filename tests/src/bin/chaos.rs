//! Everything that can go wrong, at random and all at once, while jobs are submitted and run by processes of their own.
//!
//! The truth is kept outside of the system: submitters write down each acknowledged id, executors each visible result. What
//! is lost and doubled is computed from these two and from what the store tells its users.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Parser, ValueEnum};
use retouch_tests::chaos::{Faults, Switches, Verdict};
use retouch_tests::site::Site;

/// Kills, freezes and restarts everything for a while, and counts what was lost or doubled.
#[derive(Parser)]
struct Cli {
    /// How long faults happen; the jobs that are left then are worked off in peace
    #[arg(long, default_value_t = 2.0)]
    minutes: f64,
    /// Which faults happen when
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Switch something off that keeps jobs safe: the run must find that
    #[arg(long)]
    without: Option<Without>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Without {
    /// Results of runs that were lost count as visible
    Fence,
    /// Lost tickets are not replaced
    Reminting,
}

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    tracing_subscriber::fmt().with_max_level(tracing::Level::WARN).with_writer(std::io::stderr).init();
    let cli = Cli::parse();
    let program = std::env::current_exe()?.with_file_name("retouch-node");
    let folder = tempfile::Builder::new().prefix("retouch-chaos-").tempdir()?;
    let (site, servers) = Site::on_servers(folder.path(), "chaos", 6).await;
    site.migrate().await?;
    let switches = Switches {
        fence: cli.without != Some(Without::Fence),
        reminting: cli.without != Some(Without::Reminting),
    };
    let mut faults = Faults::begin(program.display().to_string(), site, servers, cli.seed, switches).await?;
    let length = Duration::from_secs_f64(cli.minutes * 60.0);
    let begun = Instant::now();
    while begun.elapsed() < length {
        faults.next().await?;
    }
    let minutes = begun.elapsed().as_secs_f64() / 60.0;
    let verdict = faults.settle().await?;
    let kept: PathBuf = folder.path().to_owned();
    if !verdict.sound() {
        eprintln!("the accounts and logs are kept in {}", kept.display());
        let _ = folder.keep();
    }
    Ok(report(&verdict, minutes))
}

fn report(verdict: &Verdict, minutes: f64) -> ExitCode {
    for finding in &verdict.findings {
        println!("audit: {finding}");
    }
    for (name, count) in &verdict.by_name {
        println!("{name}: {count}");
    }
    let Verdict { jobs, faults, lost, doubled, takeover_p99_ms, .. } = verdict;
    let enough = *jobs >= 1000 && f64::from(*faults) >= 20.0 * minutes;
    if !enough {
        println!("too little happened: at least 1000 jobs, and 20 faults a minute, are to be seen");
    }
    println!(
        "jobs: {jobs} faults: {faults} lost: {lost} doubled: {doubled} takeover_p99_ms: {takeover_p99_ms}"
    );
    if verdict.sound() && enough { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
