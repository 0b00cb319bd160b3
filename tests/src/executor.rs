//! An executor for tests and benchmarks: it waits, and does what a payload says. There is no image in it.
//!
//! `{"ms": 20}` takes 20 ms; `{"kill": true}` kills its process once it is on the device; `{"fail": "transient"}` fails.

use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use retouch_domain::{Cost, ErrorCode, JobError, JobState, Loss};
use retouch_ports::fail_point;
use retouch_ports::store::{Claimed, Fence};
use retouch_worker::{Executor, Outcome, RunHandle, Stop};
use serde_json::json;
use tokio::sync::RwLock;

use crate::account::Account;

/// Where visible results stand.
pub fn results(folder: &Path) -> PathBuf {
    folder.join("results")
}

/// Where begun runs stand: job, epoch, the moment in microseconds, the process.
pub fn starts(folder: &Path) -> PathBuf {
    folder.join("starts")
}

/// Does next to nothing, and keeps account of results.
#[derive(Default)]
pub struct Nothing {
    /// Each job whose result became visible gets a line.
    pub results: Option<Account>,
    /// Each run that begins gets a line.
    pub starts: Option<Account>,
    /// Runs go on the device, where they are suspects of a crash.
    pub on_device: bool,
    device: RwLock<()>,
}

impl Nothing {
    /// One with accounts in a folder.
    ///
    /// # Errors
    /// As the file system's.
    pub fn on_account(folder: &Path) -> std::io::Result<Self> {
        Ok(Self {
            results: Some(Account::open(&results(folder))?),
            starts: Some(Account::open(&starts(folder))?),
            on_device: true,
            device: RwLock::default(),
        })
    }

    async fn work(&self, job: &Claimed, handle: &RunHandle) -> Outcome {
        if self.on_device
            && let Err(stop) = handle.enter_device().await
        {
            return stopped(stop);
        }
        fail_point!("worker.on_device");
        if job.payload["kill"] == json!(true) {
            crate::process::kill_self();
        }
        let takes = Duration::from_millis(job.payload["ms"].as_u64().unwrap_or(0));
        if !takes.is_zero() {
            handle.progress(1, 2);
            tokio::select! {
                () = tokio::time::sleep(takes) => {}
                stop = handle.stopped() => return stopped(stop),
            }
        }
        if job.payload["fail"] == json!("transient") {
            let error = JobError { code: ErrorCode::new("asked_to_fail"), message: "as asked".to_owned() };
            return Outcome::Failed { loss: Loss::Transient, error, cost: Cost::default() };
        }
        let output = json!({ "epoch": job.fence.epoch });
        Outcome::Done { output, children: Vec::new(), cost: Cost::default() }
    }
}

fn stopped(stop: Stop) -> Outcome {
    let cost = Cost::default();
    match stop {
        Stop::Cancel => Outcome::Canceled { cost },
        Stop::HandOver | Stop::TimedOut | Stop::Lost => Outcome::HandedOver { export: None, cost },
    }
}

#[async_trait]
impl Executor for Nothing {
    async fn run(&self, job: &Claimed, handle: &RunHandle) -> Outcome {
        if let Some(account) = &self.starts {
            let (at, process) = (crate::process::micros(), std::process::id());
            let line = format!("{} {} {at} {process}", job.fence.job, job.fence.epoch);
            account.append([line]).expect("the account of starts");
        }
        if job.alone {
            let _alone = self.device.write().await;
            self.work(job, handle).await
        } else {
            let _shared = self.device.read().await;
            self.work(job, handle).await
        }
    }

    fn recorded(&self, run: Fence, state: JobState) {
        if state == JobState::Succeeded
            && let Some(account) = &self.results
        {
            account.append([format!("{} {}", run.job, run.epoch)]).expect("the account of results");
        }
    }
}
