//! Storing batches and jobs.

use std::sync::Arc;
use std::time::Duration;

use retouch_domain::{Band, BatchState, Counts, Dependency, InvalidJob, JobState, NewJob, Timestamp};
use retouch_ports::store::{
    BatchFilter, Idempotency, LoadPart, Opened, Page, Submitted, Verdict, VerdictTotals,
};
use retouch_ports::{JobStore, PortErrorKind};
use serde_json::json;

use super::desk::Desk;

type Store = Arc<dyn JobStore>;

/// Everything that was submitted reads back, and the batch counts it.
pub async fn a_submission_is_stored_whole(store: Store) {
    let desk = Desk::new(store);
    let mut jobs = desk.new_jobs(3);
    jobs[0].key = Some("row-0".to_owned());
    jobs[1].run_at = Some(Timestamp::from_micros(1));
    jobs[1].deadline = Some(Timestamp::from_micros(i64::MAX / 2));
    jobs[2].after = vec![Dependency::Job(jobs[0].id), Dependency::Job(jobs[1].id)];
    let batch = desk.submit_to(Band::Bulk, &jobs).await;
    for (job, state) in jobs.iter().zip([JobState::Queued, JobState::Scheduled, JobState::Blocked]) {
        let mut record = desk.job(job.id).await;
        record.spec.after.sort();
        assert_eq!((&record.spec, record.state, record.epoch), (job, state, 0));
        assert_eq!((record.batch, record.tenant, record.output), (batch, desk.tenant, None));
    }
    let record = desk.store.batch(desk.tenant, batch).await.unwrap().unwrap();
    assert_eq!((record.state, record.band, record.generation), (BatchState::Open, Band::Bulk, 1));
    assert_eq!(record.counts, Counts::accepted(3));
    assert_eq!(record.totals, VerdictTotals { new: 3, duplicate: 0, invalid: 0 });
    assert_eq!((record.label.as_deref(), record.meta), (Some("a label"), json!({"spool": "x"})));
    assert_eq!(desk.assert_sound().await, 3);
}

/// A bad row never sinks the rest.
pub async fn each_row_gets_its_verdict(store: Store) {
    let desk = Desk::new(store);
    let mut first = desk.new_job();
    first.key = Some("a".to_owned());
    desk.submit_to(Band::Standard, std::slice::from_ref(&first)).await;
    let mut jobs = desk.new_jobs(6);
    jobs[0].key = Some("a".to_owned());
    jobs[1].key = Some("b".to_owned());
    jobs[2].key = Some("b".to_owned());
    jobs[3].payload = json!("x".repeat(70_000));
    jobs[4].id = first.id;
    let batch = desk.new_batch(Band::Standard);
    let Submitted::New(verdicts) = desk.store.submit(&batch, &jobs, None).await.unwrap() else {
        panic!("replayed")
    };
    assert_eq!(verdicts[0], Verdict::Duplicate(first.id));
    assert_eq!(verdicts[1], Verdict::New);
    assert_eq!(verdicts[2], Verdict::Duplicate(jobs[1].id));
    assert!(matches!(verdicts[3], Verdict::Invalid(InvalidJob::TooLarge { .. })), "{:?}", verdicts[3]);
    assert_eq!(verdicts[4], Verdict::Invalid(InvalidJob::IdInUse { id: first.id }));
    assert_eq!(verdicts[5], Verdict::New);
    let record = desk.store.batch(desk.tenant, batch.id).await.unwrap().unwrap();
    assert_eq!(record.totals, VerdictTotals { new: 2, duplicate: 2, invalid: 2 });
    assert_eq!(record.counts.total, 2);
    // Another tenant's keys are its own.
    let other = Desk::new(desk.store.clone());
    let mut job = other.new_job();
    job.key = Some("a".to_owned());
    other.submit_to(Band::Standard, &[job]).await;
    assert_eq!(desk.assert_sound().await, 4);
}

/// The first answer is given again; the same key for another request is a conflict; nothing is stored twice.
pub async fn an_idempotency_key_replays_its_answer(store: Store) {
    let desk = Desk::new(store);
    let once = |fingerprint: &str, answer: &str| Idempotency {
        key: "k".to_owned(),
        fingerprint: fingerprint.to_owned(),
        answer: answer.to_owned(),
    };
    let jobs = desk.new_jobs(2);
    let submit = async |once: Idempotency| {
        desk.store.submit(&desk.new_batch(Band::Standard), &jobs, Some(&once)).await
    };
    assert!(matches!(submit(once("f", "first")).await.unwrap(), Submitted::New(_)));
    assert_eq!(submit(once("f", "second")).await.unwrap(), Submitted::Replayed("first".to_owned()));
    let error = submit(once("g", "third")).await.unwrap_err();
    assert_eq!(error.kind(), PortErrorKind::Conflict, "{error}");
    let kept = desk.store.answer(desk.tenant, "k").await.unwrap();
    assert_eq!(kept, Some(once("f", "first")));
    assert_eq!(desk.store.answer(Desk::new(desk.store.clone()).tenant, "k").await.unwrap(), None);
    // Many at once: one is stored, the others are told the same.
    let replayed = (0..4).map(|number| {
        let (store, tenant) = (desk.store.clone(), desk.tenant);
        let (batch, jobs) = (desk.new_batch(Band::Standard), desk.new_jobs(1));
        let once =
            Idempotency { key: "m".to_owned(), fingerprint: "f".to_owned(), answer: number.to_string() };
        tokio::spawn(async move {
            assert_eq!(batch.tenant, tenant);
            store.submit(&batch, &jobs, Some(&once)).await.unwrap()
        })
    });
    let mut new = 0;
    for handle in replayed.collect::<Vec<_>>() {
        new += usize::from(matches!(handle.await.unwrap(), Submitted::New(_)));
    }
    assert_eq!(new, 1);
    assert_eq!(desk.assert_sound().await, 3);
}

/// The id of a batch is used once.
pub async fn a_batch_is_stored_once(store: Store) {
    let desk = Desk::new(store);
    let batch = desk.new_batch(Band::Standard);
    desk.store.submit(&batch, &desk.new_jobs(1), None).await.unwrap();
    let error = desk.store.submit(&batch, &desk.new_jobs(1), None).await.unwrap_err();
    assert_eq!(error.kind(), PortErrorKind::Conflict, "{error}");
    let error = desk.store.begin_loading(&batch).await.unwrap_err();
    assert_eq!(error.kind(), PortErrorKind::Conflict, "{error}");
    assert_eq!(desk.assert_sound().await, 1);
}

/// Too many rows, and a batch whose own fields are too large, are refused whole.
pub async fn limits_are_kept(store: Store) {
    let desk = Desk::new(store);
    let error = desk.store.submit(&desk.new_batch(Band::Bulk), &desk.new_jobs(5001), None).await.unwrap_err();
    assert_eq!(error.kind(), PortErrorKind::Invalid, "{error}");
    let mut batch = desk.new_batch(Band::Bulk);
    batch.label = Some("x".repeat(1000));
    let error = desk.store.submit(&batch, &desk.new_jobs(1), None).await.unwrap_err();
    assert_eq!(error.kind(), PortErrorKind::Invalid, "{error}");
    assert_eq!(desk.assert_sound().await, 0);
    desk.submit_to(Band::Bulk, &desk.new_jobs(5000)).await;
    assert_eq!(desk.assert_sound().await, 5000);
}

/// A batch none of whose rows was accepted is over.
pub async fn an_empty_batch_completes(store: Store) {
    let desk = Desk::new(store);
    let batch = desk.submit_to(Band::Standard, &[]).await;
    let over = desk.store.fold(100).await.unwrap();
    assert_eq!(
        over.iter().map(|over| (over.batch, over.state)).collect::<Vec<_>>(),
        [(batch, BatchState::Completed)]
    );
    desk.assert_sound().await;
}

/// Nothing of a loading batch is dispatched or counted before it opens.
pub async fn a_loading_batch_is_invisible(store: Store) {
    let desk = Desk::new(store);
    let batch = desk.new_batch(Band::Bulk);
    desk.store.begin_loading(&batch).await.unwrap();
    let mut jobs = desk.new_jobs(4);
    jobs[0].run_at = Some(Timestamp::from_micros(1));
    jobs[1].deadline = Some(Timestamp::from_micros(1));
    let part = LoadPart { from: 0, to: 40, jobs: &jobs, unreadable: 2 };
    desk.store.load(desk.tenant, batch.id, part).await.unwrap();
    assert_eq!(desk.dispatch().await, []);
    assert_eq!(desk.store.release_due(10).await.unwrap(), 0);
    assert_eq!(desk.store.expire_deadlines(10).await.unwrap(), 0);
    assert_eq!(desk.store.fold(10).await.unwrap(), []);
    let record = desk.store.batch(desk.tenant, batch.id).await.unwrap().unwrap();
    assert_eq!((record.state, record.counts), (BatchState::Loading, Counts::default()));
    let opened = desk.store.open(desk.tenant, batch.id, None).await.unwrap();
    assert_eq!(opened, Opened::Now(VerdictTotals { new: 4, duplicate: 0, invalid: 2 }));
    let error = desk.store.open(desk.tenant, batch.id, None).await.unwrap_err();
    assert_eq!(error.kind(), PortErrorKind::Conflict, "{error}");
    let record = desk.store.batch(desk.tenant, batch.id).await.unwrap().unwrap();
    assert_eq!((record.state, record.counts.total), (BatchState::Open, 4));
    assert_eq!(desk.dispatch().await.len(), 2);
    assert_eq!(desk.assert_sound().await, 4);
}

/// After a crash of the submitter no row is stored twice and none is left out.
pub async fn loading_goes_on_where_it_stopped(store: Store) {
    let desk = Desk::new(store);
    let batch = desk.new_batch(Band::Bulk);
    assert_eq!(desk.store.begin_loading(&batch).await.unwrap().offset, 0);
    let jobs = desk.new_jobs(3);
    let part = LoadPart { from: 0, to: 30, jobs: &jobs, unreadable: 0 };
    let verdicts = desk.store.load(desk.tenant, batch.id, part).await.unwrap();
    assert_eq!(verdicts, [Verdict::New, Verdict::New, Verdict::New]);
    let error = desk.store.load(desk.tenant, batch.id, part).await.unwrap_err();
    assert_eq!(error.kind(), PortErrorKind::Conflict, "{error}");
    let again = desk.store.begin_loading(&batch).await.unwrap();
    assert_eq!((again.offset, again.totals.new, again.meta), (30, 3, json!({"spool": "x"})));
    assert_eq!(desk.store.stale_loadings(Duration::from_secs(3600)).await.unwrap(), []);
    let stale = desk.store.stale_loadings(Duration::ZERO).await.unwrap();
    assert_eq!(
        stale.iter().map(|loading| (loading.batch, loading.offset)).collect::<Vec<_>>(),
        [(batch.id, 30)]
    );
    let once = Idempotency { key: "k".to_owned(), fingerprint: "f".to_owned(), answer: "a".to_owned() };
    let opened = desk.store.open(desk.tenant, batch.id, Some(&once)).await.unwrap();
    assert_eq!(opened, Opened::Now(VerdictTotals { new: 3, duplicate: 0, invalid: 0 }));
    let opened = desk.store.open(desk.tenant, batch.id, Some(&once)).await.unwrap();
    assert_eq!(opened, Opened::Replayed("a".to_owned()));
    assert_eq!(desk.assert_sound().await, 3);
}

/// Giving up removes the rows; the batch stays as failed.
pub async fn an_abandoned_batch_leaves_nothing(store: Store) {
    let desk = Desk::new(store);
    let batch = desk.new_batch(Band::Bulk);
    desk.store.begin_loading(&batch).await.unwrap();
    let mut jobs = desk.new_jobs(5);
    jobs[4].after = vec![Dependency::Job(jobs[0].id)];
    jobs[0].key = Some("free again".to_owned());
    let part = LoadPart { from: 0, to: 50, jobs: &jobs, unreadable: 0 };
    desk.store.load(desk.tenant, batch.id, part).await.unwrap();
    desk.store.abandon(desk.tenant, batch.id).await.unwrap();
    desk.store.abandon(desk.tenant, batch.id).await.unwrap();
    let record = desk.store.batch(desk.tenant, batch.id).await.unwrap().unwrap();
    assert_eq!(record.state, BatchState::Failed);
    assert_eq!(desk.assert_sound().await, 0);
    let mut job = desk.new_job();
    job.key = Some("free again".to_owned());
    let open = desk.submit_to(Band::Standard, &[job]).await;
    let error = desk.store.abandon(desk.tenant, open).await.unwrap_err();
    assert_eq!(error.kind(), PortErrorKind::Conflict, "{error}");
}

/// No call of one tenant finds anything of another's.
pub async fn tenants_see_only_their_own(store: Store) {
    let (desk, other) = (Desk::new(store.clone()), Desk::new(store.clone()));
    let (batch, jobs) = desk.submit(1).await;
    let page = || Page { after: None, limit: 10 };
    assert_eq!(store.batch(other.tenant, batch).await.unwrap(), None);
    assert_eq!(store.batches(other.tenant, BatchFilter::default(), page()).await.unwrap(), []);
    assert_eq!(store.job(other.tenant, jobs[0]).await.unwrap(), None);
    assert_eq!(store.jobs(other.tenant, batch, None, Page { after: None, limit: 10 }).await.unwrap(), []);
    assert_eq!(store.attempts(other.tenant, jobs[0]).await.unwrap(), []);
    assert_eq!(store.job_events(other.tenant, jobs[0]).await.unwrap(), []);
    let kinds = [
        store.cancel_job(other.tenant, jobs[0]).await.unwrap_err().kind(),
        store.retry_job(other.tenant, jobs[0]).await.unwrap_err().kind(),
        store.cancel_batch(other.tenant, batch).await.unwrap_err().kind(),
        store.retry_batch(other.tenant, batch).await.unwrap_err().kind(),
        store.pause(other.tenant, batch, true).await.unwrap_err().kind(),
        store.resume(other.tenant, batch).await.unwrap_err().kind(),
        store.move_to_band(other.tenant, batch, Band::Bulk).await.unwrap_err().kind(),
        store.delete_batch(other.tenant, batch).await.unwrap_err().kind(),
        store.open(other.tenant, batch, None).await.unwrap_err().kind(),
        store.abandon(other.tenant, batch).await.unwrap_err().kind(),
    ];
    assert_eq!(kinds, [PortErrorKind::NotFound; 10]);
    assert_eq!(desk.state(jobs[0]).await, JobState::Queued);
}

/// A key in a batch that is still loading may be free again: the row is to be sent again, not taken for stored. In the same
/// batch it is a duplicate.
pub async fn a_key_that_is_loading_is_no_duplicate_yet(store: Store) {
    let desk = Desk::new(store);
    let keyed = || NewJob { key: Some("k".to_owned()), ..desk.new_job() };
    let loading = desk.new_batch(Band::Bulk);
    desk.store.begin_loading(&loading).await.unwrap();
    let jobs = [keyed(), keyed()];
    let load = async |from| {
        let part = LoadPart { from, to: from + 1, jobs: &jobs[from as usize..][..1], unreadable: 0 };
        desk.store.load(desk.tenant, loading.id, part).await.unwrap()
    };
    assert_eq!(load(0).await, [Verdict::New]);
    assert_eq!(load(1).await, [Verdict::Duplicate(jobs[0].id)]);
    let submit = async || {
        let batch = desk.new_batch(Band::Standard);
        match desk.store.submit(&batch, &[keyed()], None).await.unwrap() {
            Submitted::New(verdicts) => verdicts,
            Submitted::Replayed(answer) => panic!("replayed {answer}"),
        }
    };
    assert_eq!(submit().await, [Verdict::Invalid(InvalidJob::KeyLoading { of: jobs[0].id })]);
    desk.store.abandon(desk.tenant, loading.id).await.unwrap();
    assert_eq!(submit().await, [Verdict::New]);
}
