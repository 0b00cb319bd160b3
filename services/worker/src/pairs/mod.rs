//! Jobs of the kinds `render` and `pack`: pairs of procedural scenes, and WebDataset shards of them. No device.
//!
//! A pair is a function of its seed, so every run of a job writes the same bytes under the same keys: a run that was cut
//! short costs only what it had not yet written.

mod pack;
mod render;
mod shard;

use std::sync::Arc;

use async_trait::async_trait;
use retouch_domain::{BatchId, Cost, ErrorCode, JobError, Loss, TenantId};
use retouch_ports::files::batch_folder;
use retouch_ports::jobs::pairs::{PACK, RENDER, VERSION};
use retouch_ports::store::Claimed;
use retouch_ports::{BlobKey, BlobStore, PortError};
use serde::de::DeserializeOwned;

use crate::executor::{Executor, Outcome};
use crate::run::{RunHandle, Stop};

/// Makes and packs pairs.
pub struct PairMaker {
    blobs: Arc<dyn BlobStore>,
}

impl PairMaker {
    /// With files here.
    pub fn new(blobs: Arc<dyn BlobStore>) -> Self {
        Self { blobs }
    }
}

#[async_trait]
impl Executor for PairMaker {
    async fn run(&self, job: &Claimed, handle: &RunHandle) -> Outcome {
        let result = match (job.kind.as_str(), job.version) {
            (RENDER, VERSION) => render::run(self.blobs.as_ref(), job, handle).await,
            (PACK, VERSION) => pack::run(&self.blobs, job, handle).await,
            (kind, version) => Err(PairError::Kind { kind: kind.to_owned(), version }),
        };
        let cost = Cost::default();
        match result {
            Ok(output) => Outcome::Done { output, children: Vec::new(), cost },
            // What is written stays written: the next run goes on from there.
            Err(PairError::Stopped(Stop::HandOver)) => Outcome::HandedOver { export: None, cost },
            Err(PairError::Stopped(_)) => Outcome::Canceled { cost },
            Err(error) => {
                let (loss, error) = error.ruling();
                Outcome::Failed { loss, error, cost }
            }
        }
    }
}

/// Why there are no pairs.
#[derive(Debug, thiserror::Error)]
enum PairError {
    #[error("this worker does not run jobs of kind `{kind}`, version {version}")]
    Kind { kind: String, version: u16 },
    #[error("the job cannot be read: {reason}")]
    Payload { reason: String },
    #[error("the file store fails: {0}")]
    Store(#[from] PortError),
    #[error("there is no pair from number {first} to {last} in the set `{set}`: render them first")]
    Empty { set: String, first: u64, last: u64 },
    #[error("pair {number} cannot be made: {reason}")]
    Pair { number: u64, reason: String },
    #[error("the run is to stop: {0:?}")]
    Stopped(Stop),
}

impl PairError {
    fn ruling(&self) -> (Loss, JobError) {
        let (loss, code) = match self {
            Self::Kind { .. } => (Loss::Permanent, "kind_unknown"),
            Self::Payload { .. } => (Loss::Permanent, "payload_invalid"),
            Self::Store(_) => (Loss::Transient, "storage_failed"),
            Self::Empty { .. } => (Loss::Permanent, "pairs_missing"),
            Self::Pair { .. } => (Loss::Permanent, "pair_failed"),
            Self::Stopped(_) => (Loss::Transient, "stopped"),
        };
        (loss, JobError { code: ErrorCode::new(code), message: self.to_string() })
    }
}

fn payload<T: DeserializeOwned>(job: &Claimed) -> Result<T, PairError> {
    serde_json::from_value(job.payload.clone())
        .map_err(|error| PairError::Payload { reason: error.to_string() })
}

/// Refuses numbers that no pair has.
fn check(first: u64, count: u64, most: u64) -> Result<(), PairError> {
    if (1..=most).contains(&count) && first.checked_add(count).is_some_and(|end| end <= 100_000_000) {
        return Ok(());
    }
    let reason = format!("count: from 1 to {most}, and first + count up to 100000000");
    Err(PairError::Payload { reason })
}

/// The files of a pair: what they are called in a shard behind the pair's number. The last is written last: where it is,
/// the pair is whole.
const PARTS: [&str; 3] = ["original.png", "edited.png", "json"];

/// The key of one of a pair's files.
fn key(tenant: TenantId, batch: BatchId, set: &str, number: u64, part: &str) -> Result<BlobKey, PairError> {
    let folder = batch_folder(tenant, batch);
    let plain = !set.is_empty() && !set.contains('/');
    let key = format!("{folder}pairs/{set}/{:05}/{number:08}.{part}", number / 1000).parse();
    key.ok().filter(|_| plain).ok_or_else(|| PairError::Payload { reason: "set: one name".to_owned() })
}

fn report(handle: &RunHandle, done: u64, all: u64) {
    let small = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    handle.progress(small(done), small(all));
}

#[cfg(test)]
mod tests;
