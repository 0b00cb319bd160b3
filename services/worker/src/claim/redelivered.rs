//! Tickets that came again while their job runs: a hint that its worker may be dead, and no proof.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use retouch_domain::WorkerBootId;
use retouch_ports::PortError;
use retouch_ports::store::{HandOver, TakeOver, Ticket};
use tokio::sync::OwnedSemaphorePermit;

use crate::claim::start;
use crate::record::{BACKOFF, Record};
use crate::table::Hold;
use crate::worker::Shared;

/// How far apart a liveness lock is looked at twice.
const APART: Duration = Duration::from_millis(250);

/// Answers one such ticket: re-adopts the worker's own run, takes a dead worker's job over, leaves a living one's.
pub(crate) async fn answer(
    shared: Arc<Shared>,
    ticket: Ticket,
    hold: Arc<Hold>,
    slot: Option<OwnedSemaphorePermit>,
) {
    let mut failures = 0;
    loop {
        match decide(&shared, &ticket).await {
            Ok(taken) => {
                act(&shared, &ticket, taken, &hold, slot).await;
                break;
            }
            Err(error) => {
                failures += 1;
                if failures == 1 {
                    let error = &error as &dyn Error;
                    tracing::warn!(error, job = %ticket.job, "a redelivered ticket cannot be answered; tries again");
                }
                tokio::time::sleep(BACKOFF.wait(failures, &*shared.ids)).await;
            }
        }
    }
    hold.release().await;
}

async fn decide(shared: &Shared, ticket: &Ticket) -> Result<TakeOver, PortError> {
    let random = shared.ids.unit();
    match shared.work.take_over(&shared.terms, ticket, None, random).await? {
        TakeOver::Held(holder) if is_dead(shared, holder).await? => {
            shared.work.take_over(&shared.terms, ticket, Some(holder), random).await
        }
        decided => Ok(decided),
    }
}

async fn is_dead(shared: &Shared, holder: WorkerBootId) -> Result<bool, PortError> {
    if shared.liveness.is_alive(holder).await? {
        return Ok(false);
    }
    tokio::time::sleep(APART).await;
    Ok(!shared.liveness.is_alive(holder).await?)
}

async fn act(
    shared: &Arc<Shared>,
    ticket: &Ticket,
    taken: TakeOver,
    hold: &Arc<Hold>,
    slot: Option<OwnedSemaphorePermit>,
) {
    match taken {
        TakeOver::Claimed(job) => {
            tracing::info!(job = %ticket.job, epoch = job.fence.epoch, "took a run over");
            start(shared, *job, ticket.band, hold, slot);
        }
        TakeOver::Readopted(fence) if !shared.table.adopt(ticket.job, hold) => {
            // Claimed by a call whose answer was lost: nobody runs it, and what it needs is not known any more.
            let hand_over = HandOver { fence, export: None, cost: Default::default() };
            shared.recorder.record(Record::HandedOver(hand_over)).await;
        }
        TakeOver::Readopted(_) => {}
        TakeOver::Ended(state) => {
            tracing::debug!(job = %ticket.job, state = state.code(), "a run of a dead worker was ended");
        }
        TakeOver::Held(holder) => {
            tracing::debug!(job = %ticket.job, %holder, "a redelivered ticket is left to the worker that lives");
        }
        TakeOver::Refused(refusal) => {
            tracing::debug!(job = %ticket.job, ?refusal, "a redelivered ticket is not worth anything");
        }
    }
}
