//! What a store refuses, in the words of both adapters.

use std::fmt::Display;

use retouch_domain::spec::{MAX_EXPORT_BYTES, MAX_ROWS, check_json};
use retouch_domain::{BatchId, BatchState, Illegal, NewBatch, NewJob, TenantId};

use crate::store::{Completion, HandOver, Idempotency, LoadPart, Loading, Result, TenantLimits, Verdict};
use crate::{PortError, PortErrorKind};

/// Nothing of the tenant has this id.
pub fn not_found(what: &str, id: impl Display) -> PortError {
    PortError::new(PortErrorKind::NotFound, format!("there is no {what} {id}"))
}

/// A statement that changed nothing found nothing of the tenant's to change.
pub fn must_be_found(changed: u64, what: &str, id: impl Display) -> Result<()> {
    if changed > 0 { Ok(()) } else { Err(not_found(what, id)) }
}

/// The state does not allow it.
pub fn conflict(text: impl Into<String>) -> PortError {
    PortError::new(PortErrorKind::Conflict, text)
}

/// A transition that the adapter had made sure of.
pub fn illegal(error: Illegal) -> PortError {
    PortError::new(PortErrorKind::Internal, "a job was to change in a way that its state does not allow")
        .with_source(error)
}

/// All of the locked jobs were changed.
pub fn all_changed(changed: usize, of: usize) -> Result<()> {
    if changed == of {
        return Ok(());
    }
    let text = format!("{changed} of {of} locked jobs were changed: the rows are not what they were");
    Err(PortError::new(PortErrorKind::Internal, text))
}

/// Rows can be loaded into the batch.
pub fn must_load(state: BatchState, batch: BatchId) -> Result<()> {
    if state == BatchState::Loading {
        return Ok(());
    }
    Err(conflict(format!("the batch {batch} is {}, not loading", state.code())))
}

/// The part is the next one.
pub fn must_follow(loading: &Loading, part: &LoadPart<'_>) -> Result<()> {
    if loading.offset == part.from {
        return Ok(());
    }
    let (batch, offset, from) = (loading.batch, loading.offset, part.from);
    Err(conflict(format!(
        "batch {batch} is loaded up to {offset}, and the part begins at {from}: go on at {offset}"
    )))
}

/// The batch has jobs that are not over.
pub fn must_be_open(state: BatchState, batch: BatchId) -> Result<()> {
    if state == BatchState::Open {
        return Ok(());
    }
    Err(conflict(format!("the batch {batch} is {}, not open", state.code())))
}

/// Jobs of the batch may run again: it was opened, is not being deleted, and nobody is calling the others off.
pub fn must_be_retriable(state: BatchState, cancel_requested: bool, batch: BatchId) -> Result<()> {
    match (state, cancel_requested) {
        (BatchState::Loading | BatchState::Failed, _) => {
            Err(conflict(format!("the batch {batch} is {}: nothing of it can be retried", state.code())))
        }
        (BatchState::Open, true) => Err(conflict(format!(
            "the batch {batch} is being canceled: retry what you need when that is over"
        ))),
        _ => Ok(()),
    }
}

/// Nothing of the batch can run any more.
pub fn must_be_over(state: BatchState, batch: BatchId) -> Result<()> {
    if !matches!(state, BatchState::Open | BatchState::Loading) {
        return Ok(());
    }
    Err(conflict(format!("the batch {batch} is {}: only what is over is deleted", state.code())))
}

/// The batch's own fields keep their limits.
pub fn batch_is_valid(batch: &NewBatch) -> Result<()> {
    batch.check().map_err(|error| {
        PortError::new(PortErrorKind::Invalid, "the batch cannot be accepted").with_source(error)
    })
}

/// No batch has this id.
pub fn must_be_new(known: bool, batch: BatchId) -> Result<()> {
    if known { Err(conflict(format!("the batch {batch} exists already"))) } else { Ok(()) }
}

/// One call may store so many rows.
pub fn rows_fit(jobs: &[NewJob]) -> Result<()> {
    if jobs.len() <= MAX_ROWS {
        return Ok(());
    }
    let text =
        format!("{} jobs in one call; at most {MAX_ROWS} are accepted: send them in parts", jobs.len());
    Err(PortError::new(PortErrorKind::Invalid, text))
}

/// None of the children of a result is invalid.
pub fn children_are_valid(verdicts: &[Verdict]) -> Result<()> {
    let invalid = verdicts.iter().enumerate().find_map(|(index, verdict)| match verdict {
        Verdict::Invalid(error) => Some((index, error)),
        _ => None,
    });
    let Some((index, error)) = invalid else { return Ok(()) };
    let text = format!("child {index} of a result cannot be accepted");
    Err(PortError::new(PortErrorKind::Invalid, text).with_source(error.clone()))
}

/// The outputs keep their limit.
pub fn outputs_fit(completions: &[Completion]) -> Result<()> {
    for completion in completions {
        check_json("output", &completion.output).map_err(|error| {
            let text = format!("the output of job {} cannot be stored", completion.fence.job);
            PortError::new(PortErrorKind::Invalid, text).with_source(error)
        })?;
    }
    Ok(())
}

/// The exported states keep their limit.
pub fn exports_fit(hand_overs: &[HandOver]) -> Result<()> {
    for hand_over in hand_overs {
        let bytes = hand_over.export.as_ref().map_or(0, Vec::len);
        if bytes > MAX_EXPORT_BYTES {
            let job = hand_over.fence.job;
            let text =
                format!("the state of job {job} has {bytes} bytes; at most {MAX_EXPORT_BYTES} are kept");
            return Err(PortError::new(PortErrorKind::Invalid, text));
        }
    }
    Ok(())
}

/// A tenant has some share.
pub fn limits_are_valid(tenant: TenantId, limits: &TenantLimits) -> Result<()> {
    if limits.weight > 0 {
        return Ok(());
    }
    let text = format!("the weight of tenant {tenant} is 0; it must be at least 1");
    Err(PortError::new(PortErrorKind::Invalid, text))
}

/// The answer that was given to the same request under this key.
pub fn replayed(given: Idempotency, once: &Idempotency) -> Result<String> {
    if given.fingerprint == once.fingerprint {
        return Ok(given.answer);
    }
    Err(conflict(format!("the idempotency key {:?} was used for another request: use a new key", once.key)))
}
