//! One process of a test: a scheduler, a worker or a submitter.

use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use clap::{Parser, Subcommand};
use retouch_domain::Band;
use retouch_ports::Ports;
use retouch_tests::account::Account;
use retouch_tests::client;
use retouch_tests::executor::Nothing;
use retouch_tests::process::heed_points;
use retouch_tests::site::{Site, pool, scheduler_options};
use retouch_tests::unfenced::Unfenced;
use tokio_util::sync::CancellationToken;

/// A process that tests start and kill.
#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    role: Role,
}

#[derive(Subcommand)]
enum Role {
    /// Runs all reconcilers
    Scheduler {
        #[command(flatten)]
        site: Site,
        /// Milliseconds until a ticket counts as lost
        #[arg(long, default_value_t = 1500)]
        ticket_grace: u64,
    },
    /// Claims jobs and does nothing with them
    Worker {
        #[command(flatten)]
        site: Site,
        /// Jobs at a time
        #[arg(long, default_value_t = NonZeroU16::new(8).expect("more than none"))]
        slots: NonZeroU16,
        /// Milliseconds that a lease lasts
        #[arg(long, default_value_t = 3000)]
        lease: u64,
        /// Keeps no account, and goes on no device
        #[arg(long)]
        bare: bool,
        /// Goes on no device: a crash makes no suspects
        #[arg(long)]
        off_device: bool,
        /// Results of lost runs count as visible
        #[arg(long)]
        unfenced: bool,
    },
    /// Scheduler and worker in one process
    Up {
        #[command(flatten)]
        site: Site,
    },
    /// Submits batches until it is ended
    Submitter {
        #[command(flatten)]
        site: Site,
        /// Jobs of a batch
        #[arg(long, default_value_t = 20)]
        jobs: usize,
        /// Milliseconds that a job takes
        #[arg(long, default_value_t = 20)]
        takes: u64,
        /// Batches; 0: without end
        #[arg(long, default_value_t = 0)]
        batches: u64,
        /// Milliseconds between batches
        #[arg(long, default_value_t = 100)]
        pause: u64,
    },
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt().with_max_level(tracing::Level::INFO).with_ansi(false).init();
    heed_points();
    let stop = stop_on_signal()?;
    match Cli::parse().role {
        Role::Scheduler { site, ticket_grace } => {
            let ports = open(&site).await;
            let options = scheduler_options(Duration::from_millis(ticket_grace));
            retouch_scheduler::Scheduler::run(ports, options, stop).await;
        }
        Role::Worker { site, slots, lease, bare, off_device, unfenced } => {
            let mut ports = retouch_worker::Ports::from(open(&site).await);
            if unfenced {
                ports.work = Arc::new(Unfenced(ports.work));
            }
            let mut executor = if bare { Nothing::default() } else { Nothing::on_account(&site.folder)? };
            executor.on_device &= !off_device;
            work(ports, executor, slots, Duration::from_millis(lease), stop).await?;
        }
        Role::Up { site } => {
            let ports = open(&site).await;
            let options = scheduler_options(Duration::from_millis(1000));
            tokio::spawn(retouch_scheduler::Scheduler::run(ports.clone(), options, stop.clone()));
            let executor = Nothing::on_account(&site.folder)?;
            work(ports.into(), executor, NonZeroU16::MIN.saturating_add(7), Duration::from_secs(3), stop)
                .await?;
        }
        Role::Submitter { site, jobs, takes, batches, pause } => {
            let ports = open(&site).await;
            let account = Account::open(&client::acknowledged(&site.folder))?;
            let mut sent = 0;
            while !stop.is_cancelled() && (batches == 0 || sent < batches) {
                let band = Band::ALL[usize::try_from(sent % 3).unwrap_or(0)];
                let new = client::jobs(&*ports.ids, jobs, Duration::from_millis(takes));
                client::submit_on_account(&*ports.store, &*ports.ids, &account, band, &new).await?;
                sent += 1;
                tokio::time::sleep(Duration::from_millis(pause)).await;
            }
        }
    }
    Ok(())
}

async fn work(
    ports: retouch_worker::Ports,
    executor: Nothing,
    slots: NonZeroU16,
    lease: Duration,
    stop: CancellationToken,
) -> Result<(), retouch_worker::WorkerError> {
    let options = retouch_worker::Options {
        lease,
        drain: Duration::from_secs(5),
        patience: Duration::from_secs(2),
        ..retouch_worker::Options::new(pool(), slots)
    };
    retouch_worker::worker::run(ports, Arc::new(executor), options, stop).await
}

/// The backends, as soon as they answer: a process may be started while one of them is down.
async fn open(site: &Site) -> Ports {
    loop {
        match site.open().await {
            Ok(ports) => return ports,
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "a backend does not answer yet");
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
    }
}

fn stop_on_signal() -> std::io::Result<CancellationToken> {
    let stop = CancellationToken::new();
    let (read, write) = std::os::unix::net::UnixStream::pair()?;
    signal_hook::low_level::pipe::register(signal_hook::consts::SIGTERM, write)?;
    let told = stop.clone();
    std::thread::spawn(move || {
        // Comes back when the signal came.
        let _ = std::io::Read::read(&mut &read, &mut [0]);
        told.cancel();
    });
    Ok(stop)
}
