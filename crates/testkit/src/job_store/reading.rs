//! Lists and the log.

use std::collections::HashSet;
use std::sync::Arc;

use retouch_domain::{JobState, Loss};
use retouch_ports::JobStore;
use retouch_ports::store::{Cursor, EventScope, Page};

use super::desk::{Desk, completion};

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
    let batches = desk.store.batches(desk.tenant, Page { after: Some(batch), limit: 10 }).await.unwrap();
    assert_eq!(batches.iter().map(|batch| batch.id).collect::<Vec<_>>(), [second]);
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
