//! Lists and the log.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use retouch_domain::{Band, BatchId, BatchState, Cost, JobState, Loss, NewBatch};
use retouch_ports::JobStore;
use retouch_ports::store::{BatchFilter, Completion, Cursor, EventScope, JobRecord, Page, UsageDay};
use serde_json::json;

use super::desk::{Desk, completion};
use crate::case::eventually;

type Store = Arc<dyn JobStore>;

/// Pages cover a list without gap or overlap.
pub async fn pages_follow_each_other(store: Store) {
    let desk = Desk::new(store);
    let (batch, jobs) = desk.submit(7).await;
    let runs = desk.start().await;
    desk.fail(runs[2].fence, Loss::Permanent).await;
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let page = desk.store.jobs(desk.tenant, batch, None, Page { after, limit: 3 }).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.spec.id);
        seen.extend(page.into_iter().map(|job| job.spec.id));
    }
    assert_eq!(seen, jobs);
    let all = Page { after: None, limit: 10 };
    let failed = desk.store.jobs(desk.tenant, batch, Some(JobState::Failed), all).await.unwrap();
    assert_eq!(failed.iter().map(|job| job.spec.id).collect::<Vec<_>>(), [jobs[2]]);
    let (second, _) = desk.submit(1).await;
    let ids = async |filter: BatchFilter<'_>, after, limit| -> Vec<BatchId> {
        let batches = desk.store.batches(desk.tenant, filter, Page { after, limit }).await.unwrap();
        batches.into_iter().map(|batch| batch.id).collect()
    };
    let all = BatchFilter::default();
    assert_eq!(ids(all, Some(batch), 10).await, [second]);
    let newest = BatchFilter { newest_first: true, ..all };
    assert_eq!((ids(all, None, 1).await, ids(newest, None, 1).await), (vec![batch], vec![second]));
    assert_eq!(ids(newest, Some(second), 10).await, [batch]);
    assert_eq!(ids(newest, Some(batch), 10).await, []);
}

/// A list of batches is cut to a state and a label, in both orders.
pub async fn batches_are_found_by_state_and_label(store: Store) {
    let desk = Desk::new(store);
    let labelled = NewBatch { label: Some("mine".to_owned()), ..desk.new_batch(Band::Bulk) };
    desk.store.submit(&labelled, &desk.new_jobs(1), None).await.unwrap();
    let (open, _) = desk.submit(1).await;
    desk.store.cancel_batch(desk.tenant, labelled.id).await.unwrap();
    desk.store.fold(10).await.unwrap();
    let other = Desk::new(desk.store.clone());
    let page = Page { after: None, limit: 10 };
    for newest_first in [false, true] {
        let ids = async |state, label, tenant| -> Vec<BatchId> {
            let filter = BatchFilter { state, label, newest_first };
            let batches = desk.store.batches(tenant, filter, page).await.unwrap();
            batches.into_iter().map(|batch| batch.id).collect()
        };
        assert_eq!(ids(Some(BatchState::Canceled), None, desk.tenant).await, [labelled.id]);
        assert_eq!(ids(Some(BatchState::Open), None, desk.tenant).await, [open]);
        assert_eq!(ids(None, Some("mine"), desk.tenant).await, [labelled.id]);
        assert_eq!(ids(Some(BatchState::Open), Some("mine"), desk.tenant).await, []);
        assert_eq!(ids(None, Some("min"), desk.tenant).await, []);
        assert_eq!(ids(None, Some("mine"), other.tenant).await, []);
    }
}

/// Whoever reads ended jobs by cursor gets each end that holds once, however often a job was retried.
pub async fn ended_jobs_are_read_by_cursor(store: Store) {
    let desk = Desk::new(store);
    let (batch, jobs) = desk.submit(4).await;
    let runs = desk.start().await;
    desk.commit(&[runs[1].fence]).await;
    desk.fail(runs[0].fence, Loss::Permanent).await;
    desk.commit(&[runs[2].fence]).await;
    let over = [JobState::Succeeded, JobState::Failed, JobState::Canceled, JobState::Expired];
    // A reader may have to wait until older transactions of other cases are over.
    let read = async |states: &[JobState], after, limit, count: usize| {
        let mut found = Vec::new();
        eventually(async || {
            found = desk.store.endings(desk.tenant, batch, states, after, limit).await.unwrap();
            found.len() == count
        })
        .await;
        found
    };
    let ids = |found: &[(Cursor, JobRecord)]| found.iter().map(|(_, job)| job.spec.id).collect::<Vec<_>>();
    let all = read(&over, Cursor::default(), 10, 3).await;
    assert_eq!(ids(&all), [jobs[1], jobs[0], jobs[2]]);
    assert!(all.is_sorted_by_key(|(cursor, _)| *cursor));
    assert_eq!(all[0].1, desk.job(jobs[1]).await);
    let first = read(&[JobState::Succeeded], Cursor::default(), 1, 1).await;
    assert_eq!(ids(&first), [jobs[1]]);
    let rest = read(&[JobState::Succeeded], first[0].0, 10, 1).await;
    assert_eq!(ids(&rest), [jobs[2]]);
    desk.store.retry_job(desk.tenant, jobs[0]).await.unwrap();
    assert_eq!(ids(&read(&over, Cursor::default(), 10, 2).await), [jobs[1], jobs[2]]);
    let again = desk.start().await.remove(0);
    desk.fail(again.fence, Loss::Permanent).await;
    assert_eq!(ids(&read(&over, rest[0].0, 10, 1).await), [jobs[0]]);
    let other = Desk::new(desk.store.clone());
    let foreign = desk.store.endings(other.tenant, batch, &over, Cursor::default(), 10).await.unwrap();
    assert_eq!(foreign, []);
}

/// The runs of a day add up, and are the tenant's own.
pub async fn the_usage_adds_up(store: Store) {
    let (desk, other) = (Desk::new(store.clone()), Desk::new(store.clone()));
    desk.submit(3).await;
    let before = store.now().await.unwrap();
    let runs = desk.start().await;
    let cost = Cost { device_ms: 1500, forwards: 20, load_ms: 10 };
    let outputs = [json!({"files": [{"key": "a"}, {"key": "b"}]}), json!(7)];
    for (run, output) in runs.iter().zip(outputs) {
        let done = Completion { fence: run.fence, output, cost, children: Vec::new() };
        desk.store.commit(&[done]).await.unwrap();
    }
    desk.fail(runs[2].fence, Loss::Permanent).await;
    // Midnight may come in between.
    let day = Duration::from_secs(24 * 3600);
    let days = store.usage(desk.tenant, before, before + day * 2).await.unwrap();
    let sum = |of: fn(&UsageDay) -> u64| days.iter().map(of).sum::<u64>();
    assert_eq!((sum(|day| day.runs), sum(|day| day.succeeded), sum(|day| day.files)), (3, 2, 2));
    assert!(sum(|day| day.cost.device_ms) >= 3000 && sum(|day| day.cost.forwards) >= 40, "{days:?}");
    assert!(days[0].day <= before && before < days[0].day + day, "{days:?}");
    assert_eq!(days[0].day.micros() % 86_400_000_000, 0);
    assert_eq!(store.usage(other.tenant, before, before + day * 2).await.unwrap(), []);
    assert_eq!(store.usage(desk.tenant, before - day * 2, before - day).await.unwrap(), []);
}

/// Each reader gets each entry of its scope once, in order.
pub async fn the_log_is_read_by_cursor(store: Store) {
    let (desk, other) = (Desk::new(store.clone()), Desk::new(store.clone()));
    let (batch, _) = desk.submit(2).await;
    other.submit(1).await;
    for run in desk.start().await {
        desk.commit(&[run.fence]).await;
    }
    desk.store.fold(10).await.unwrap();
    let names = async |desk: &Desk, scope, count| -> Vec<String> {
        desk.events(scope, count).await.into_iter().map(|event| event.event).collect()
    };
    let own = names(&desk, EventScope::Batch(desk.tenant, batch), 6).await;
    assert_eq!(own.iter().filter(|event| *event == "claimed").count(), 2);
    assert_eq!(own.first().map(String::as_str), Some("batch_opened"));
    assert_eq!(own.last().map(String::as_str), Some("batch_over"));
    assert_eq!(names(&desk, EventScope::Tenant(desk.tenant), 6).await, own);
    // The desk's dispatch took the other's job too.
    let others = names(&other, EventScope::Tenant(other.tenant), 4).await;
    assert_eq!(names(&desk, EventScope::All, 10).await.len(), own.len() + others.len());
    let foreign = EventScope::Batch(other.tenant, batch);
    assert_eq!(store.events(foreign, Cursor::default(), 10).await.unwrap(), []);
}

/// A reader that follows the log while many write sees every entry: a late commit is never behind its cursor.
pub async fn a_late_commit_is_not_skipped(store: Store) {
    let desk = Desk::new(store);
    desk.submit(40).await;
    let runs = desk.start().await;
    let writers: Vec<_> = runs
        .chunks(5)
        .map(|part| {
            let (store, part) = (desk.store.clone(), part.to_vec());
            tokio::spawn(async move {
                for run in part {
                    store.commit(&[completion(run.fence)]).await.unwrap();
                }
            })
        })
        .collect();
    let (mut seen, mut after) = (HashSet::new(), Cursor::default());
    while seen.len() < 40 {
        let page = desk.store.events(EventScope::All, after, 7).await.unwrap();
        after = page.last().map_or(after, |event| event.cursor);
        seen.extend(page.iter().filter(|event| event.event == "committed").filter_map(|event| event.job));
        tokio::task::yield_now().await;
    }
    for writer in writers {
        writer.await.unwrap();
    }
    desk.assert_sound().await;
}
