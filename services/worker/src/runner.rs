//! One run from its claim to its record.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use retouch_domain::{Cost, ErrorCode, JobError, Loss};
use retouch_ports::store::{Claimed, Completion, Ended, Failure, Fence, HandOver};

use crate::executor::{Executor, Outcome};
use crate::record::Record;
use crate::run::{RunHandle, Stop};
use crate::worker::Shared;

/// Runs a claimed job and puts its end on record.
pub(crate) async fn run(shared: Arc<Shared>, job: Claimed, handle: Arc<RunHandle>) {
    let fence = job.fence;
    match drive(&*shared.executor, &job, &handle, shared.options.patience).await {
        None => tracing::warn!(job = %fence.job, epoch = fence.epoch, "a run was lost to somebody else"),
        Some(record) => match shared.recorder.record(record).await {
            Some(Ended::Now(state)) => {
                shared.executor.recorded(fence, state);
                shared.news.changed(job.batch, fence.job);
            }
            Some(Ended::Stale) => {
                tracing::warn!(job = %fence.job, epoch = fence.epoch, "a run ended that was not ours any more");
            }
            None => {}
        },
    }
    for hold in shared.table.remove(&handle) {
        hold.release().await;
    }
}

/// What is to be recorded; none if the run is somebody else's.
async fn drive(
    executor: &dyn Executor,
    job: &Claimed,
    handle: &RunHandle,
    patience: Duration,
) -> Option<Record> {
    let run = AssertUnwindSafe(executor.run(job, handle)).catch_unwind();
    tokio::pin!(run);
    let mut told = None;
    let outcome = loop {
        let impatient = async {
            match told {
                None => std::future::pending().await,
                Some(_) => tokio::time::sleep(patience).await,
            }
        };
        tokio::select! {
            outcome = &mut run => break outcome,
            stop = handle.stopped_for_more_than(told) => match stop {
                Stop::Lost => return None,
                stop => told = Some(stop),
            },
            () = impatient => {
                let stop = handle.stop().unwrap_or(Stop::Lost);
                tracing::warn!(job = %job.fence.job, ?stop, "a run does not stop; it is given up");
                return given_up(job.fence, stop);
            }
        }
    };
    match outcome {
        Ok(outcome) => Some(record(job.fence, outcome, handle.stop())),
        Err(_) => {
            tracing::error!(job = %job.fence.job, kind = %job.kind, "an executor panicked");
            let message = "the worker's code panicked; its log says where".to_owned();
            Some(failed(job.fence, Loss::Transient, ErrorCode::new("executor_panicked"), message))
        }
    }
}

/// What an executor's answer means, given what it was told.
fn record(fence: Fence, outcome: Outcome, told: Option<Stop>) -> Record {
    match (outcome, told) {
        (Outcome::Done { output, children, cost }, _) => {
            Record::Done(Completion { fence, output, cost, children })
        }
        (Outcome::Failed { cost, .. } | Outcome::HandedOver { cost, .. }, Some(Stop::TimedOut)) => {
            timed_out(fence, cost)
        }
        (Outcome::Canceled { cost }, Some(Stop::TimedOut)) => timed_out(fence, cost),
        (Outcome::Failed { loss, error, cost }, _) => Record::Failed(Failure { fence, loss, error, cost }),
        (Outcome::HandedOver { export, cost }, _) => Record::HandedOver(HandOver { fence, export, cost }),
        (Outcome::Canceled { cost }, Some(Stop::Cancel)) => Record::Canceled(fence, cost),
        // Nobody asked: the job is not to be lost by that.
        (Outcome::Canceled { cost }, _) => Record::HandedOver(HandOver { fence, export: None, cost }),
    }
}

/// The record of a run whose executor did not answer in time.
fn given_up(fence: Fence, stop: Stop) -> Option<Record> {
    let cost = Cost::default();
    match stop {
        Stop::HandOver => Some(Record::HandedOver(HandOver { fence, export: None, cost })),
        Stop::Cancel => Some(Record::Canceled(fence, cost)),
        Stop::TimedOut => Some(timed_out(fence, cost)),
        Stop::Lost => None,
    }
}

fn timed_out(fence: Fence, cost: Cost) -> Record {
    let error = JobError { code: ErrorCode::TIMEOUT, message: "it ran longer than it may".to_owned() };
    Record::Failed(Failure { fence, loss: Loss::Timeout, error, cost })
}

fn failed(fence: Fence, loss: Loss, code: ErrorCode, message: String) -> Record {
    Record::Failed(Failure { fence, loss, error: JobError { code, message }, cost: Cost::default() })
}

#[cfg(test)]
mod tests {
    use retouch_domain::JobId;
    use serde_json::json;
    use uuid::Uuid;

    use super::*;

    const COST: Cost = Cost { device_ms: 1, forwards: 2, load_ms: 3 };

    fn kind(outcome: Outcome, told: Option<Stop>) -> &'static str {
        let fence = Fence { job: JobId::new(Uuid::nil()), epoch: 1 };
        match record(fence, outcome, told) {
            Record::Done(_) => "done",
            Record::Failed(failure) => failure.loss.code(),
            Record::HandedOver(_) => "handed over",
            Record::Canceled(..) => "canceled",
        }
    }

    #[test]
    fn a_result_counts_whatever_was_asked() {
        let done = || Outcome::Done { output: json!(1), children: Vec::new(), cost: COST };
        for told in [None, Some(Stop::HandOver), Some(Stop::Cancel), Some(Stop::TimedOut)] {
            assert_eq!(kind(done(), told), "done");
        }
    }

    #[test]
    fn what_ends_without_a_result_ends_as_it_was_told() {
        let canceled = || Outcome::Canceled { cost: COST };
        assert_eq!(kind(canceled(), Some(Stop::Cancel)), "canceled");
        assert_eq!(kind(canceled(), Some(Stop::TimedOut)), "timeout");
        assert_eq!(kind(canceled(), None), "handed over");
        let handed = || Outcome::HandedOver { export: Some(vec![1]), cost: COST };
        assert_eq!(kind(handed(), Some(Stop::HandOver)), "handed over");
        assert_eq!(kind(handed(), Some(Stop::TimedOut)), "timeout");
    }
}
