//! Parameters of set statements, as JSON arrays.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::time::Duration;

use retouch_domain::{BatchId, Change, Counts, Dependency, Event, Timestamp};
use serde_json::{Value, json};

use super::{Accepted, Unfolded};
use crate::store::{Beat, Claimed, Fence};

/// Ids.
pub fn ids<Id: Display>(ids: impl IntoIterator<Item = Id>) -> Value {
    ids.into_iter().map(|id| Value::String(id.to_string())).collect()
}

/// Runs: `job`, `epoch`.
pub fn fences(fences: impl IntoIterator<Item = Fence>) -> Value {
    fences.into_iter().map(|fence| json!({"job": fence.job.to_string(), "epoch": fence.epoch})).collect()
}

/// Changes of jobs. `delay` is in microseconds; `attempt` is null unless a run ends.
pub fn changes(changes: &[Change]) -> Value {
    changes.iter().map(change).collect()
}

fn change(change: &Change) -> Value {
    let (before, tally) = (&change.before, &change.tally);
    let attempt = change.attempt.as_ref().map(|attempt| {
        json!({
            "outcome": attempt.outcome,
            "charged": attempt.charged,
            "error_code": attempt.error.as_ref().map(|error| error.code.as_str()),
            "error_message": attempt.error.as_ref().map(|error| &error.message),
            "device_ms": attempt.cost.device_ms,
            "forwards": attempt.cost.forwards,
            "load_ms": attempt.cost.load_ms,
        })
    });
    let mut row = json!({
        "job": before.job.to_string(),
        "batch": before.batch.to_string(),
        "tenant": before.tenant.to_string(),
        "event": change.event.code(),
        "state_before": before.state.code(),
        "state": change.state.code(),
        "epoch_before": before.epoch,
        "epoch": change.epoch,
        "starts": tally.starts,
        "failures": tally.failures,
        "crashes": tally.crashes,
        "out_of_memory": tally.out_of_memory,
        "parkings": tally.parkings,
        "suspect": tally.suspect,
        "delay": change.delay.map(micros),
        "retried": matches!(change.event, Event::Retried | Event::RetriedBlocked),
        "ended": change.state.is_terminal(),
        "error_code": change.error.as_ref().map(|error| error.code.as_str()),
        "error_message": change.error.as_ref().map(|error| &error.message),
        "attempt": attempt,
    });
    // In a list: a JSON null is an output too, and databases take a bare one for none.
    if let Some(output) = &change.output {
        row["output"] = json!([output]);
    }
    row
}

/// Changes of counts.
pub fn counts(counts: &BTreeMap<BatchId, Counts>) -> Value {
    counts
        .iter()
        .map(|(batch, counts)| {
            json!({
                "batch": batch.to_string(),
                "total": counts.total,
                "succeeded": counts.succeeded,
                "failed": counts.failed,
                "canceled": counts.canceled,
                "expired": counts.expired,
            })
        })
        .collect()
}

/// Jobs to be stored.
pub fn jobs(accepted: &[Accepted<'_>]) -> Value {
    let row = |Accepted { job, state, .. }: &Accepted<'_>| {
        json!({
            "id": job.id.to_string(),
            "key": job.key,
            "kind": job.kind.as_str(),
            "version": job.version,
            "payload": job.payload,
            "inputs": job.inputs,
            "pool": job.pool.as_str(),
            "shape": job.shape,
            "cost_ms": job.cost_ms,
            "run_at": job.run_at.map(Timestamp::micros),
            "deadline": job.deadline.map(Timestamp::micros),
            "timeout_ms": millis(job.timeout),
            "max_attempts": job.retry.max_attempts,
            "backoff_base_ms": millis(job.retry.base),
            "backoff_cap_ms": millis(job.retry.cap),
            "state": state.code(),
        })
    };
    accepted.iter().map(row).collect()
}

/// What the jobs wait for.
pub fn dependencies(accepted: &[Accepted<'_>]) -> Vec<Value> {
    let row = |job: String, on: &Dependency| match on {
        Dependency::Job(on) => json!({"job": job, "on_job": on.to_string()}),
        Dependency::Batch(on) => json!({"job": job, "on_batch": on.to_string()}),
    };
    accepted.iter().flat_map(|new| new.unmet.iter().map(|on| row(new.job.id.to_string(), on))).collect()
}

/// Batches with their changes folded in.
pub fn folded(batches: &[Unfolded]) -> Value {
    let row = |batch: &Unfolded| {
        json!({
            "batch": batch.batch.to_string(),
            "total": batch.counts.total,
            "succeeded": batch.counts.succeeded,
            "failed": batch.counts.failed,
            "canceled": batch.counts.canceled,
            "expired": batch.counts.expired,
            "state": batch.folded().code(),
            "over": batch.over().is_some(),
        })
    };
    batches.iter().map(row).collect()
}

/// Leases of newly claimed runs; `timeout` is in microseconds.
pub fn leases<'a>(claimed: impl IntoIterator<Item = &'a Claimed>) -> Value {
    let row = |run: &Claimed| {
        json!({
            "job": run.fence.job.to_string(),
            "epoch": run.fence.epoch,
            "tenant": run.tenant.to_string(),
            "batch": run.batch.to_string(),
            "alone": run.alone,
            "timeout": micros(run.timeout),
        })
    };
    claimed.into_iter().map(row).collect()
}

/// Signs of life.
pub fn beats(beats: &[Beat]) -> Value {
    let row = |beat: &Beat| {
        json!({
            "job": beat.fence.job.to_string(),
            "epoch": beat.fence.epoch,
            "on_device": beat.on_device,
            "step": beat.step,
            "steps": beat.steps,
        })
    };
    beats.iter().map(row).collect()
}

/// A count as the databases keep it.
pub fn as_i64(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
