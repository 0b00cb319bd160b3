//! What runs the jobs that a worker claims.

use async_trait::async_trait;
use retouch_domain::{Cost, JobError, JobState, Loss, NewJob};
use retouch_ports::live::WorkerModel;
use retouch_ports::store::{Claimed, Fence};
use serde_json::Value;

use crate::run::RunHandle;

/// How a run ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// With a result.
    Done {
        /// What becomes visible; at most [`MAX_JSON_BYTES`](retouch_domain::spec::MAX_JSON_BYTES) as JSON.
        output: Value,
        /// Jobs that come into being with it, in the same batch.
        children: Vec<NewJob>,
        /// What the run cost.
        cost: Cost,
    },
    /// Without one.
    Failed {
        /// Whose fault it is; [`retouch_domain::charge()`] rules what follows.
        loss: Loss,
        /// For the user.
        error: JobError,
        /// What the run cost.
        cost: Cost,
    },
    /// Given up, in answer to [`Stop::HandOver`](crate::run::Stop::HandOver).
    HandedOver {
        /// The state from which another worker goes on; at most
        /// [`MAX_EXPORT_BYTES`](retouch_domain::spec::MAX_EXPORT_BYTES).
        export: Option<Vec<u8>>,
        /// What the run cost.
        cost: Cost,
    },
    /// Given up, in answer to [`Stop::Cancel`](crate::run::Stop::Cancel).
    Canceled {
        /// What the run cost.
        cost: Cost,
    },
}

/// Runs jobs of the kinds that it knows; a job of another kind or version fails by name.
#[async_trait]
pub trait Executor: Send + Sync {
    /// Runs one job. Many run at a time; how many share the device is the executor's to decide, but a job that is
    /// [`alone`](Claimed::alone) shares it with nobody. [`RunHandle::enter_device`] comes before a job is on the device.
    ///
    /// The call is dropped where the run is lost, or where it does not answer to a [`Stop`](crate::run::Stop) in time.
    async fn run(&self, job: &Claimed, handle: &RunHandle) -> Outcome;

    /// Comes back when the device is beyond repair. The worker then stops at once and leaves its runs as a crash would, for
    /// the process to exit.
    async fn broken(&self) {
        std::future::pending().await
    }

    /// The models that jobs may name, in the order of their names; none where jobs need none.
    fn models(&self) -> Vec<WorkerModel> {
        Vec::new()
    }

    /// The end of a run is on record: the job is in this state now. Not told of runs that were lost.
    fn recorded(&self, _run: Fence, _state: JobState) {}
}
