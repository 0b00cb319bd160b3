//! What users and operators do.

use std::sync::Arc;

use retouch_domain::{Band, BatchState, Cost, JobState, Loss, Timestamp};
use retouch_ports::store::{
    Beat, Canceled, Claim, Ended, Fence, HandOver, LeaseTerms, LoadPart, Retried, Signal,
};
use retouch_ports::{JobStore, PortErrorKind};

use super::desk::{Desk, completion};

type Store = Arc<dyn JobStore>;

/// Whatever it waits for.
pub async fn a_waiting_job_is_canceled_at_once(store: Store) {
    let desk = Desk::new(store);
    let mut jobs = desk.new_jobs(2);
    jobs[1].run_at = Some(Timestamp::from_micros(i64::MAX / 2));
    let batch = desk.submit_to(Band::Standard, &jobs).await;
    for job in &jobs {
        assert_eq!(desk.store.cancel_job(desk.tenant, job.id).await.unwrap(), Canceled::Now);
        let again = desk.store.cancel_job(desk.tenant, job.id).await.unwrap();
        assert_eq!(again, Canceled::TooLate(JobState::Canceled));
    }
    assert_eq!(desk.store.batch(desk.tenant, batch).await.unwrap().unwrap().counts.canceled, 2);
    // Jobs were called off one by one; the batch was not.
    assert_eq!(desk.store.fold(10).await.unwrap()[0].state, BatchState::Completed);
    desk.assert_sound().await;
}

/// Its worker is told, and ends the run.
pub async fn a_running_job_is_canceled_by_its_worker(store: Store) {
    let desk = Desk::new(store);
    let (_, jobs) = desk.submit(1).await;
    let fence = desk.start().await.remove(0).fence;
    for _ in 0..2 {
        assert_eq!(desk.store.cancel_job(desk.tenant, jobs[0]).await.unwrap(), Canceled::Requested);
    }
    let beat = Beat { fence, on_device: false, step: 0, steps: 0 };
    assert_eq!(desk.store.renew(&desk.terms(), &[beat]).await.unwrap(), [Signal::Cancel]);
    let cost = Cost { device_ms: 8, forwards: 1, load_ms: 0 };
    let ended = desk.store.release_canceled(&[(fence, cost)]).await.unwrap();
    assert_eq!(ended, [Ended::Now(JobState::Canceled)]);
    assert_eq!(desk.log(jobs[0]).await, ["claimed", "cancel_requested", "canceled"]);
    let attempts = desk.store.attempts(desk.tenant, jobs[0]).await.unwrap();
    assert_eq!((attempts[0].outcome.as_str(), attempts[0].cost), ("canceled", cost));
    desk.assert_sound().await;
}

/// A result that comes before the worker heard of the cancel counts; the cancel was too late.
pub async fn a_commit_wins_over_a_cancel(store: Store) {
    let desk = Desk::new(store);
    let (_, jobs) = desk.submit(2).await;
    let runs = desk.start().await;
    desk.store.cancel_job(desk.tenant, jobs[0]).await.unwrap();
    desk.store.cancel_job(desk.tenant, jobs[1]).await.unwrap();
    assert_eq!(desk.commit(&[runs[0].fence]).await, [Ended::Now(JobState::Succeeded)]);
    let late = desk.store.cancel_job(desk.tenant, jobs[0]).await.unwrap();
    assert_eq!(late, Canceled::TooLate(JobState::Succeeded));
    // A hand-over of what is to be canceled cancels it.
    let hand_over = HandOver { fence: runs[1].fence, export: None, cost: Cost::default() };
    assert_eq!(desk.store.hand_over(&[hand_over]).await.unwrap(), [Ended::Now(JobState::Canceled)]);
    desk.assert_sound().await;
}

/// Both at once, many times: the log is sound whoever wins.
pub async fn cancel_and_commit_race(store: Store) {
    let desk = Desk::new(store);
    let (_, jobs) = desk.submit(12).await;
    let runs = desk.start().await;
    let mut racers = Vec::new();
    for run in &runs {
        let (store, tenant, job) = (desk.store.clone(), desk.tenant, run.fence.job);
        racers.push(tokio::spawn(async move {
            store.cancel_job(tenant, job).await.unwrap();
        }));
        let (store, fence) = (desk.store.clone(), run.fence);
        racers.push(tokio::spawn(async move {
            store.commit(&[completion(fence)]).await.unwrap();
        }));
    }
    for racer in racers {
        racer.await.unwrap();
    }
    for job in jobs {
        assert_eq!(desk.state(job).await, JobState::Succeeded);
    }
    desk.assert_sound().await;
}

/// Waiting jobs end at once, running ones through their workers, and then the batch is canceled.
pub async fn a_batch_is_canceled(store: Store) {
    let desk = Desk::new(store);
    let (batch, jobs) = desk.submit(5).await;
    let tickets = desk.dispatch().await;
    let run = desk.claim_as(&desk.terms(), &tickets[..1]).await.remove(0);
    assert_eq!(desk.store.cancel_batch(desk.tenant, batch).await.unwrap(), 1);
    for job in &jobs[1..] {
        assert_eq!(desk.state(*job).await, JobState::Canceled);
    }
    assert_eq!(desk.dispatch().await, []);
    assert_eq!(desk.store.fold(10).await.unwrap(), []);
    desk.store.release_canceled(&[(run.fence, Cost::default())]).await.unwrap();
    let over = desk.store.fold(10).await.unwrap();
    assert_eq!(over.iter().map(|over| over.state).collect::<Vec<_>>(), [BatchState::Canceled]);
    assert_eq!(desk.store.finish_cancels(10).await.unwrap(), 0);
    let error = desk.store.cancel_batch(desk.tenant, batch).await.unwrap_err();
    assert_eq!(error.kind(), PortErrorKind::Conflict, "{error}");
    desk.assert_sound().await;
}

/// What waits is canceled, what runs ends by itself, and the batch is not called off.
pub async fn what_waits_of_a_batch_is_canceled(store: Store) {
    let desk = Desk::new(store);
    let (batch, jobs) = desk.submit(4).await;
    let tickets = desk.dispatch().await;
    let run = desk.claim_as(&desk.terms(), &tickets[..1]).await.remove(0);
    let foreign = Desk::new(desk.store.clone()).tenant;
    let refused = desk.store.cancel_waiting_jobs(foreign, batch).await.unwrap_err();
    assert_eq!(refused.kind(), PortErrorKind::NotFound, "{refused}");
    desk.store.cancel_waiting_jobs(desk.tenant, batch).await.unwrap();
    for job in jobs.iter().filter(|job| **job != run.fence.job) {
        assert_eq!(desk.state(*job).await, JobState::Canceled);
    }
    let record = desk.store.batch(desk.tenant, batch).await.unwrap().unwrap();
    assert!(record.state == BatchState::Open && !record.cancel_requested, "{record:?}");
    desk.commit(&[run.fence]).await;
    desk.store.fold(10).await.unwrap();
    let record = desk.store.batch(desk.tenant, batch).await.unwrap().unwrap();
    assert_eq!((record.counts.succeeded, record.counts.canceled, record.counts.live()), (1, 3, 0));
    let error = desk.store.cancel_waiting_jobs(desk.tenant, batch).await.unwrap_err();
    assert_eq!(error.kind(), PortErrorKind::Conflict, "{error}");
    desk.assert_sound().await;
}

/// A retry is a new epoch with a clean account; success is final.
pub async fn a_job_is_retried(store: Store) {
    let desk = Desk::new(store);
    let (batch, jobs) = desk.submit(1).await;
    let refused = desk.store.retry_job(desk.tenant, jobs[0]).await.unwrap();
    assert_eq!(refused, Retried::Refused(JobState::Queued));
    let run = desk.start().await.remove(0);
    desk.fail(run.fence, Loss::Permanent).await;
    assert_eq!(desk.store.fold(10).await.unwrap()[0].generation, 1);
    let retried = desk.store.retry_job(desk.tenant, jobs[0]).await.unwrap();
    assert_eq!(retried, Retried::Now(JobState::Queued));
    let job = desk.job(jobs[0]).await;
    assert_eq!((job.epoch, job.tally.starts, job.error, job.ended_at), (2, 0, None, None));
    let record = desk.store.batch(desk.tenant, batch).await.unwrap().unwrap();
    assert_eq!((record.state, record.generation, record.counts.failed), (BatchState::Open, 2, 0));
    let run = desk.start().await.remove(0);
    assert_eq!(run.fence.epoch, 3);
    desk.commit(&[run.fence]).await;
    let over = desk.store.fold(10).await.unwrap();
    assert_eq!((over[0].state, over[0].generation), (BatchState::Completed, 2));
    let refused = desk.store.retry_job(desk.tenant, jobs[0]).await.unwrap();
    assert_eq!(refused, Retried::Refused(JobState::Succeeded));
    desk.assert_sound().await;
}

/// All that did not succeed runs again, also of a batch that was called off.
pub async fn a_batch_is_retried(store: Store) {
    let desk = Desk::new(store);
    let mut jobs = desk.new_jobs(4);
    jobs[3].deadline = Some(Timestamp::from_micros(1));
    let batch = desk.submit_to(Band::Standard, &jobs).await;
    let fences: Vec<Fence> = desk.start().await.iter().map(|run| run.fence).collect();
    desk.commit(&fences[..1]).await;
    desk.fail(fences[1], Loss::Permanent).await;
    desk.store.expire_deadlines(10).await.unwrap();
    desk.store.cancel_batch(desk.tenant, batch).await.unwrap();
    desk.store.release_canceled(&[(fences[2], Cost::default())]).await.unwrap();
    assert_eq!(desk.store.fold(10).await.unwrap()[0].state, BatchState::Canceled);
    assert_eq!(desk.store.retry_batch(desk.tenant, batch).await.unwrap(), 3);
    assert_eq!(desk.store.retry_batch(desk.tenant, batch).await.unwrap(), 0);
    let record = desk.store.batch(desk.tenant, batch).await.unwrap().unwrap();
    assert_eq!((record.state, record.cancel_requested, record.counts.live()), (BatchState::Open, false, 3));
    assert_eq!(desk.store.expire_deadlines(10).await.unwrap(), 0);
    let fences: Vec<Fence> = desk.start().await.iter().map(|run| run.fence).collect();
    desk.commit(&fences).await;
    assert_eq!(desk.store.fold(10).await.unwrap()[0].state, BatchState::Completed);
    desk.assert_sound().await;
}

/// Nothing new starts; what runs finishes.
pub async fn a_paused_batch_waits(store: Store) {
    let desk = Desk::new(store);
    let (batch, _) = desk.submit(3).await;
    let tickets = desk.dispatch_by(&retouch_domain::fair::Rules { window: 1, ..super::desk::WIDE }).await;
    let run = desk.claim_as(&desk.terms(), &tickets).await.remove(0);
    desk.store.pause(desk.tenant, batch, false).await.unwrap();
    assert!(desk.store.batch(desk.tenant, batch).await.unwrap().unwrap().paused);
    assert_eq!(desk.dispatch().await, []);
    assert_eq!(desk.commit(&[run.fence]).await, [Ended::Now(JobState::Succeeded)]);
    desk.store.resume(desk.tenant, batch).await.unwrap();
    assert_eq!(desk.dispatch().await.len(), 2);
    desk.assert_sound().await;
}

/// With `now`, what runs is handed over; a resume calls that off.
pub async fn a_paused_batch_is_handed_over(store: Store) {
    let desk = Desk::new(store);
    let (batch, jobs) = desk.submit(1).await;
    let fence = desk.start().await.remove(0).fence;
    let beat = Beat { fence, on_device: true, step: 1, steps: 9 };
    desk.store.pause(desk.tenant, batch, true).await.unwrap();
    assert_eq!(desk.store.renew(&desk.terms(), &[beat]).await.unwrap(), [Signal::HandOver]);
    desk.store.resume(desk.tenant, batch).await.unwrap();
    assert_eq!(desk.store.renew(&desk.terms(), &[beat]).await.unwrap(), [Signal::Continue]);
    desk.store.pause(desk.tenant, batch, true).await.unwrap();
    let hand_over = HandOver { fence, export: Some(vec![1, 2]), cost: Cost::default() };
    desk.store.hand_over(&[hand_over]).await.unwrap();
    assert_eq!(desk.state(jobs[0]).await, JobState::Queued);
    assert_eq!(desk.dispatch().await, []);
    desk.store.resume(desk.tenant, batch).await.unwrap();
    assert_eq!(desk.start().await[0].export, Some(vec![1, 2]));
    desk.assert_sound().await;
}

/// A move voids the tickets that are out.
pub async fn a_batch_moves_between_bands(store: Store) {
    let desk = Desk::new(store);
    let (batch, _) = desk.submit(2).await;
    assert_eq!(desk.dispatch().await.len(), 2);
    desk.store.move_to_band(desk.tenant, batch, Band::Bulk).await.unwrap();
    let tickets = desk.dispatch().await;
    assert_eq!(tickets.iter().map(|ticket| ticket.band).collect::<Vec<_>>(), [Band::Bulk; 2]);
    desk.assert_sound().await;
}

/// The jobs of a batch that was never opened, or is being called off, are not retried one by one.
pub async fn a_batch_that_is_not_open_to_it_is_not_retried(store: Store) {
    let desk = Desk::new(store);
    let conflict = async |job, batch| {
        for error in [
            desk.store.retry_job(desk.tenant, job).await.unwrap_err(),
            desk.store.retry_batch(desk.tenant, batch).await.unwrap_err(),
        ] {
            assert_eq!(error.kind(), PortErrorKind::Conflict, "{error}");
        }
    };
    let loading = desk.new_batch(Band::Bulk);
    desk.store.begin_loading(&loading).await.unwrap();
    let job = desk.new_job();
    let part = LoadPart { from: 0, to: 1, jobs: std::slice::from_ref(&job), unreadable: 0 };
    desk.store.load(desk.tenant, loading.id, part).await.unwrap();
    desk.store.cancel_job(desk.tenant, job.id).await.unwrap();
    conflict(job.id, loading.id).await;
    let record = desk.store.batch(desk.tenant, loading.id).await.unwrap().unwrap();
    assert_eq!(record.state, BatchState::Loading);

    let (batch, jobs) = desk.submit(2).await;
    let tickets = desk.dispatch().await;
    let fence = desk.claim_as(&desk.terms(), &tickets[..1]).await.remove(0).fence;
    desk.store.cancel_batch(desk.tenant, batch).await.unwrap();
    conflict(jobs[1], batch).await;
    let beat = Beat { fence, on_device: false, step: 0, steps: 0 };
    assert_eq!(desk.store.renew(&desk.terms(), &[beat]).await.unwrap(), [Signal::Cancel]);
    assert!(desk.job(jobs[0]).await.run.unwrap().cancel_requested);
    desk.store.release_canceled(&[(fence, Cost::default())]).await.unwrap();
    desk.store.fold(10).await.unwrap();
    assert_eq!(desk.store.retry_job(desk.tenant, jobs[1]).await.unwrap(), Retried::Now(JobState::Queued));
    assert_eq!(desk.assert_sound().await, 3);
}

/// A claim at the moment of a pause with `now` or of a cancel: what runs then is told, and a lease that ends knows too.
pub async fn a_claim_races_with_pause_and_cancel(store: Store) {
    let desk = Desk::new(store);
    for round in 0..16 {
        let (batch, jobs) = desk.submit(1).await;
        let tickets = desk.dispatch().await;
        let (store, terms) = (desk.store.clone(), desk.expired());
        let claim = tokio::spawn(async move { store.claim(&terms, &tickets).await.unwrap() });
        let (store, tenant) = (desk.store.clone(), desk.tenant);
        let stop = tokio::spawn(async move {
            if round % 2 == 0 {
                store.pause(tenant, batch, true).await.unwrap();
            } else {
                store.cancel_batch(tenant, batch).await.unwrap();
            }
        });
        let claim = claim.await.unwrap().remove(0);
        stop.await.unwrap();
        if let Claim::Claimed(run) = claim {
            let boot = desk.job(jobs[0]).await.run.unwrap().boot;
            let beat = Beat { fence: run.fence, on_device: false, step: 0, steps: 0 };
            let terms = LeaseTerms { boot, length: std::time::Duration::ZERO };
            let told = desk.store.renew(&terms, &[beat]).await.unwrap();
            assert_eq!(told, [if round % 2 == 0 { Signal::HandOver } else { Signal::Cancel }]);
        }
        desk.store.reap_leases(&[], 10, 0.5).await.unwrap();
        let state = if round % 2 == 0 { JobState::Queued } else { JobState::Canceled };
        assert_eq!(desk.state(jobs[0]).await, state);
    }
    desk.assert_sound().await;
}
