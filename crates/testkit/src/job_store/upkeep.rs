//! What reconcilers do.

use std::sync::Arc;
use std::time::Duration;

use retouch_domain::{Band, BatchState, JobState, Loss, Timestamp};
use retouch_ports::store::{BatchFilter, Cursor, EventScope, Fence, Idempotency, Page};
use retouch_ports::{JobStore, PortErrorKind};

use super::desk::{Desk, HOUR};

type Store = Arc<dyn JobStore>;

/// A job whose time has come is queued, others wait; parts are as large as asked.
pub async fn due_jobs_are_released(store: Store) {
    let desk = Desk::new(store);
    let mut jobs = desk.new_jobs(4);
    for job in &mut jobs[..3] {
        job.run_at = Some(Timestamp::from_micros(1));
    }
    jobs[3].run_at = Some(Timestamp::from_micros(i64::MAX / 2));
    desk.submit_to(Band::Standard, &jobs).await;
    assert_eq!(desk.dispatch().await, []);
    let release = async || desk.store.release_due(2).await.unwrap();
    assert_eq!((release().await, release().await, release().await), (2, 1, 0));
    assert_eq!(desk.dispatch().await.len(), 3);
    assert_eq!(desk.state(jobs[3].id).await, JobState::Scheduled);
    desk.assert_sound().await;
}

/// Expired leases and those of dead workers are reaped, live ones are not.
pub async fn leases_are_reaped(store: Store) {
    let desk = Desk::new(store);
    desk.submit(3).await;
    let tickets = desk.dispatch().await;
    let dead = desk.other();
    desk.claim_as(&desk.terms(), &tickets[..1]).await;
    desk.claim_as(&desk.expired(), &tickets[1..2]).await;
    desk.claim_as(&dead, &tickets[2..]).await;
    assert_eq!(desk.store.holders().await.unwrap().len(), 3);
    let reap = async |dead: &[_]| {
        let mut reaped = desk.store.reap_leases(dead, 10, 0.5).await.unwrap();
        reaped.sort();
        reaped
    };
    assert_eq!(reap(&[]).await, [tickets[1].job]);
    assert_eq!(reap(&[dead.boot]).await, [tickets[2].job]);
    assert_eq!(reap(&[dead.boot]).await, []);
    assert_eq!(desk.state(tickets[0].job).await, JobState::Running);
    assert_eq!(desk.state(tickets[1].job).await, JobState::Queued);
    assert_eq!(desk.store.holders().await.unwrap(), [desk.boot]);
    assert_eq!(desk.dispatch().await.len(), 2);
    desk.assert_sound().await;
}

/// A job whose deadline passed before it could start is expired, and what waits for it fails.
pub async fn deadlines_expire(store: Store) {
    let desk = Desk::new(store);
    let mut jobs = desk.new_jobs(3);
    jobs[0].deadline = Some(Timestamp::from_micros(1));
    jobs[1].deadline = Some(Timestamp::from_micros(i64::MAX / 2));
    jobs[2].after = vec![retouch_domain::Dependency::Job(jobs[0].id)];
    let batch = desk.submit_to(Band::Standard, &jobs).await;
    assert_eq!(desk.dispatch().await.len(), 1);
    assert_eq!(desk.store.expire_deadlines(10).await.unwrap(), 1);
    assert_eq!(desk.store.expire_deadlines(10).await.unwrap(), 0);
    assert_eq!(desk.state(jobs[0].id).await, JobState::Expired);
    assert_eq!(desk.state(jobs[2].id).await, JobState::Failed);
    let counts = desk.store.batch(desk.tenant, batch).await.unwrap().unwrap().counts;
    assert_eq!((counts.expired, counts.failed, counts.live()), (1, 1, 1));
    desk.assert_sound().await;
}

/// A batch is over when its last job is, and is told once.
pub async fn a_batch_completes_once(store: Store) {
    let desk = Desk::new(store);
    let (batch, _) = desk.submit(2).await;
    let fences: Vec<Fence> = desk.start().await.iter().map(|run| run.fence).collect();
    desk.commit(&fences[..1]).await;
    assert_eq!(desk.store.fold(10).await.unwrap(), []);
    desk.commit(&fences[1..]).await;
    let over = desk.store.fold(10).await.unwrap();
    assert_eq!(
        (over.len(), over[0].batch, over[0].tenant, over[0].state),
        (1, batch, desk.tenant, BatchState::Completed)
    );
    assert_eq!(desk.store.fold(10).await.unwrap(), []);
    let record = desk.store.batch(desk.tenant, batch).await.unwrap().unwrap();
    assert_eq!((record.state, record.counts.succeeded), (BatchState::Completed, 2));
    assert!(record.ended_at.is_some());
    let scope = EventScope::Batch(desk.tenant, batch);
    let events = desk.events(scope, 6).await;
    let over: Vec<_> = events.iter().filter(|event| event.event == "batch_over").collect();
    assert_eq!((over.len(), over[0].state.as_str(), over[0].epoch), (1, "completed", 1));
    desk.assert_sound().await;
}

/// Many who fold while many commit: nothing is counted twice or left out, and each batch is over once.
pub async fn folding_at_once_counts_once(store: Store) {
    let desk = Desk::new(store);
    for _ in 0..5 {
        desk.submit(6).await;
    }
    let fences: Vec<Fence> = desk.start().await.iter().map(|run| run.fence).collect();
    assert_eq!(desk.commit_while_folding(&fences).await, 5);
    desk.assert_sound().await;
}

/// The files of runs without result are listed until they are swept.
pub async fn orphans_are_listed_until_swept(store: Store) {
    let desk = Desk::new(store);
    let (batch, _) = desk.submit(2).await;
    let runs = desk.start().await;
    desk.commit(&[runs[0].fence]).await;
    desk.fail(runs[1].fence, Loss::Permanent).await;
    let orphans = desk.store.orphans(10).await.unwrap();
    assert_eq!(orphans.len(), 1);
    assert_eq!((orphans[0].fence, orphans[0].batch, orphans[0].tenant), (runs[1].fence, batch, desk.tenant));
    desk.store.swept(&[orphans[0].fence]).await.unwrap();
    assert_eq!(desk.store.orphans(10).await.unwrap(), []);
}

/// What is stored of an ended batch goes whole; an open one stays.
pub async fn an_ended_batch_is_deleted(store: Store) {
    let desk = Desk::new(store);
    let (batch, jobs) = desk.submit(3).await;
    let (open, _) = desk.submit(1).await;
    let tickets = desk.dispatch().await;
    let fences: Vec<Fence> =
        desk.claim_as(&desk.terms(), &tickets[..3]).await.iter().map(|run| run.fence).collect();
    desk.commit(&fences).await;
    desk.store.fold(10).await.unwrap();
    assert_eq!(desk.store.ended_batches(HOUR, 10).await.unwrap(), []);
    let ended = desk.store.ended_batches(Duration::ZERO, 10).await.unwrap();
    assert_eq!(ended, [(desk.tenant, batch)]);
    let error = desk.store.delete_batch(desk.tenant, open).await.unwrap_err();
    assert_eq!(error.kind(), PortErrorKind::Conflict, "{error}");
    desk.store.delete_batch(desk.tenant, batch).await.unwrap();
    assert_eq!(desk.store.batch(desk.tenant, batch).await.unwrap(), None);
    assert_eq!(desk.store.job(desk.tenant, jobs[0]).await.unwrap(), None);
    let events = desk.store.events(EventScope::All, Cursor::default(), 100).await.unwrap();
    assert!(events.iter().all(|event| event.batch == open), "{events:?}");
    let page = Page { after: None, limit: 10 };
    assert_eq!(desk.store.batches(desk.tenant, BatchFilter::default(), page).await.unwrap().len(), 1);
    assert_eq!(desk.assert_sound().await, 1);
}

/// Answers are kept for a time.
pub async fn answers_are_forgotten(store: Store) {
    let desk = Desk::new(store);
    let once = Idempotency { key: "k".to_owned(), fingerprint: "f".to_owned(), answer: "a".to_owned() };
    let batch = desk.new_batch(Band::Standard);
    desk.store.submit(&batch, &desk.new_jobs(1), Some(&once)).await.unwrap();
    assert_eq!(desk.store.forget_answers(HOUR, 10).await.unwrap(), 0);
    assert_eq!(desk.store.forget_answers(Duration::ZERO, 10).await.unwrap(), 1);
    assert_eq!(desk.store.answer(desk.tenant, "k").await.unwrap(), None);
}

/// A batch is deleted while somebody wants another run of its last job: it is whole and open, or all of it is gone.
pub async fn a_deletion_and_a_retry_race(store: Store) {
    let desk = Desk::new(store);
    for _ in 0..3 {
        let (batch, jobs) = desk.submit(1200).await;
        desk.store.cancel_batch(desk.tenant, batch).await.unwrap();
        desk.store.fold(10).await.unwrap();
        let (store, tenant) = (desk.store.clone(), desk.tenant);
        let delete = tokio::spawn(async move { store.delete_batch(tenant, batch).await });
        let (store, first) = (desk.store.clone(), jobs[0]);
        let retry = tokio::spawn(async move { store.retry_job(tenant, first).await });
        let retried = retry.await.unwrap().is_ok();
        assert_eq!(delete.await.unwrap().is_ok(), !retried);
        assert_eq!(desk.assert_sound().await, if retried { 1200 } else { 0 });
        desk.store.cancel_batch(desk.tenant, batch).await.ok();
        desk.store.fold(10).await.unwrap();
        desk.store.delete_batch(desk.tenant, batch).await.ok();
    }
}
