//! Jobs that wait for others.

use std::sync::Arc;

use retouch_domain::{Band, BatchId, Dependency, InvalidJob, JobId, JobState, Loss, NewJob, Timestamp};
use retouch_ports::store::{Ended, Fence, LoadPart, Retried, Submitted, Verdict};
use retouch_ports::{Ids, JobStore, PortErrorKind};

use super::desk::{Desk, completion};

type Store = Arc<dyn JobStore>;

fn after(desk: &Desk, jobs: &[&NewJob]) -> NewJob {
    NewJob { after: jobs.iter().map(|job| Dependency::Job(job.id)).collect(), ..desk.new_job() }
}

/// A job waits for all of the jobs that it names, and then for its own time.
pub async fn a_success_lets_go_on(store: Store) {
    let desk = Desk::new(store);
    let (first, second) = (desk.new_job(), desk.new_job());
    let both = after(&desk, &[&first, &second]);
    let mut later = after(&desk, &[&first]);
    later.run_at = Some(Timestamp::from_micros(i64::MAX / 2));
    desk.submit_to(Band::Standard, &[first, second, both.clone(), later.clone()]).await;
    let runs = desk.start().await;
    assert_eq!(runs.len(), 2);
    desk.commit(&[runs[0].fence]).await;
    assert_eq!(desk.state(both.id).await, JobState::Blocked);
    assert_eq!(desk.state(later.id).await, JobState::Scheduled);
    desk.commit(&[runs[1].fence]).await;
    assert_eq!(desk.job(both.id).await.spec.after, []);
    assert_eq!(desk.start().await[0].fence.job, both.id);
    desk.assert_sound().await;
}

/// What waits for a failure fails with it, and what waits for that.
pub async fn a_failure_fails_what_waits(store: Store) {
    let desk = Desk::new(store);
    let first = desk.new_job();
    let second = after(&desk, &[&first]);
    let third = after(&desk, &[&second]);
    desk.submit_to(Band::Standard, &[first, second.clone(), third.clone()]).await;
    let run = desk.start().await.remove(0);
    desk.fail(run.fence, Loss::Permanent).await;
    for job in [second.id, third.id] {
        let job = desk.job(job).await;
        assert_eq!((job.state, job.error.unwrap().code.as_str()), (JobState::Failed, "dependency_failed"));
    }
    assert_eq!(desk.store.fold(10).await.unwrap().len(), 1);
    desk.assert_sound().await;
}

/// A job may wait for a whole batch, however its jobs end; a canceled batch fails it.
pub async fn a_batch_is_waited_for(store: Store) {
    let desk = Desk::new(store);
    let (good, _) = desk.submit(2).await;
    let (off, _) = desk.submit(1).await;
    let waits = |batch| NewJob { after: vec![Dependency::Batch(batch)], ..desk.new_job() };
    let (pack, lost) = (waits(good), waits(off));
    desk.submit_to(Band::Standard, &[pack.clone(), lost.clone()]).await;
    let fences: Vec<Fence> = desk.start().await.iter().map(|run| run.fence).collect();
    desk.commit(&fences[..1]).await;
    desk.fail(fences[1], Loss::Permanent).await;
    assert_eq!(desk.state(pack.id).await, JobState::Blocked);
    desk.store.cancel_batch(desk.tenant, off).await.unwrap();
    desk.store.release_canceled(&[(fences[2], retouch_domain::Cost::default())]).await.unwrap();
    assert_eq!(desk.store.fold(10).await.unwrap().len(), 2);
    assert_eq!(desk.state(pack.id).await, JobState::Queued);
    assert_eq!(desk.state(lost.id).await, JobState::Failed);
    desk.assert_sound().await;
}

/// The parents of one job commit at the same moment: it goes on once.
pub async fn several_successes_at_once_let_go_on(store: Store) {
    let desk = Desk::new(store);
    for _ in 0..4 {
        let parents = desk.new_jobs(4);
        let child = after(&desk, &parents.iter().collect::<Vec<_>>());
        let jobs: Vec<NewJob> = parents.into_iter().chain([child.clone()]).collect();
        desk.submit_to(Band::Standard, &jobs).await;
        let writers: Vec<_> = desk
            .start()
            .await
            .into_iter()
            .map(|run| {
                let store = desk.store.clone();
                tokio::spawn(async move { store.commit(&[completion(run.fence)]).await.unwrap() })
            })
            .collect();
        for writer in writers {
            assert_eq!(writer.await.unwrap(), [Ended::Now(JobState::Succeeded)]);
        }
        assert_eq!(desk.log(child.id).await, ["unblocked"]);
        let run = desk.start().await.remove(0);
        desk.commit(&[run.fence]).await;
    }
    desk.assert_sound().await;
}

/// A retried job whose parent runs waits for it; one whose parent ended without success is refused, for it would wait for
/// ever.
pub async fn a_retry_waits_again(store: Store) {
    let desk = Desk::new(store);
    let first = desk.new_job();
    let second = after(&desk, &[&first]);
    desk.submit_to(Band::Standard, &[first.clone(), second.clone()]).await;
    let run = desk.start().await.remove(0);
    desk.fail(run.fence, Loss::Permanent).await;
    let retry = async |job| desk.store.retry_job(desk.tenant, job).await;
    let error = retry(second.id).await.unwrap_err();
    assert_eq!(error.kind(), PortErrorKind::Conflict, "{error}");
    assert_eq!(desk.state(second.id).await, JobState::Failed);
    assert_eq!(retry(first.id).await.unwrap(), Retried::Now(JobState::Queued));
    assert_eq!(retry(second.id).await.unwrap(), Retried::Now(JobState::Blocked));
    let run = desk.start().await.remove(0);
    assert_eq!(run.fence.job, first.id);
    desk.commit(&[run.fence]).await;
    let run = desk.start().await.remove(0);
    assert_eq!(run.fence.job, second.id);
    desk.commit(&[run.fence]).await;
    desk.assert_sound().await;
}

/// A batch is retried in the order of what waits for what, whatever the order of its ids; what waits for a failure elsewhere
/// stays.
pub async fn a_batch_is_retried_in_order(store: Store) {
    let desk = Desk::new(store);
    let elsewhere = desk.new_job();
    desk.submit_to(Band::Standard, std::slice::from_ref(&elsewhere)).await;
    // The ids rise, and each job waits for the one with the next higher id.
    let mut jobs = desk.new_jobs(3);
    jobs.reverse();
    for index in 1..3 {
        jobs[index].after = vec![Dependency::Job(jobs[index - 1].id)];
    }
    let lost = after(&desk, &[&elsewhere]);
    let ids: Vec<JobId> = jobs.iter().map(|job| job.id).collect();
    jobs.push(lost.clone());
    let batch = desk.submit_to(Band::Standard, &jobs).await;
    for run in desk.start().await {
        desk.fail(run.fence, Loss::Permanent).await;
    }
    for job in ids.iter().chain([&lost.id]) {
        assert_eq!(desk.state(*job).await, JobState::Failed);
    }
    assert_eq!(desk.store.retry_batch(desk.tenant, batch).await.unwrap(), 3);
    assert_eq!(desk.state(lost.id).await, JobState::Failed);
    for job in ids {
        let run = desk.start().await.remove(0);
        assert_eq!(run.fence.job, job);
        desk.commit(&[run.fence]).await;
    }
    desk.assert_sound().await;
}

/// Whoever waits for a loading batch, or for a job in it, fails when it is given up.
pub async fn an_abandoned_batch_fails_what_waits(store: Store) {
    let desk = Desk::new(store);
    let loading = desk.new_batch(Band::Bulk);
    desk.store.begin_loading(&loading).await.unwrap();
    let parent = desk.new_job();
    let within = after(&desk, &[&parent]);
    let part = LoadPart { from: 0, to: 2, jobs: &[parent.clone(), within], unreadable: 0 };
    desk.store.load(desk.tenant, loading.id, part).await.unwrap();
    let on_job = after(&desk, &[&parent]);
    let on_batch = NewJob { after: vec![Dependency::Batch(loading.id)], ..desk.new_job() };
    let further = after(&desk, &[&on_job]);
    desk.submit_to(Band::Standard, &[on_job.clone(), on_batch.clone(), further.clone()]).await;
    desk.store.abandon(desk.tenant, loading.id).await.unwrap();
    for job in [on_job.id, on_batch.id, further.id] {
        let job = desk.job(job).await;
        assert_eq!((job.state, job.error.unwrap().code.as_str()), (JobState::Failed, "dependency_failed"));
    }
    assert_eq!(desk.store.fold(10).await.unwrap().len(), 1);
    assert_eq!(desk.assert_sound().await, 3);
}

/// A row that waits for a row of its own call that is not stored is not stored either, and neither holds a key.
pub async fn rows_that_are_not_stored_hold_nobody(store: Store) {
    let desk = Desk::new(store);
    let (_, others) = Desk::new(desk.store.clone()).submit(1).await;
    let first = NewJob { id: others[0], ..desk.new_job() };
    let second = NewJob { key: Some("k".to_owned()), ..after(&desk, &[&first]) };
    let third = after(&desk, &[&second]);
    let fourth = NewJob { key: Some("k".to_owned()), ..desk.new_job() };
    let batch = desk.new_batch(Band::Standard);
    let unknown = |job: &NewJob| {
        Verdict::Invalid(InvalidJob::UnknownDependency { dependency: Dependency::Job(job.id) })
    };
    let verdicts = [
        Verdict::Invalid(InvalidJob::IdInUse { id: first.id }),
        unknown(&first),
        unknown(&second),
        Verdict::New,
    ];
    let submitted =
        desk.store.submit(&batch, &[first, second.clone(), third, fourth.clone()], None).await.unwrap();
    assert_eq!(submitted, Submitted::New(verdicts.to_vec()));
    assert_eq!(desk.store.job(desk.tenant, second.id).await.unwrap(), None);
    assert_eq!(desk.state(fourth.id).await, JobState::Queued);
    let record = desk.store.batch(desk.tenant, batch.id).await.unwrap().unwrap();
    assert_eq!((record.counts.total, record.totals.new, record.totals.invalid), (1, 1, 3));
    desk.assert_sound().await;
}

/// A job is given another run at the moment at which what it waits for succeeds: it goes on, whoever is first.
pub async fn a_retry_and_a_success_race(store: Store) {
    let desk = Desk::new(store);
    for _ in 0..25 {
        let first = desk.new_job();
        let second = after(&desk, &[&first]);
        desk.submit_to(Band::Standard, &[first, second.clone()]).await;
        let fence = desk.start().await.remove(0).fence;
        desk.store.cancel_job(desk.tenant, second.id).await.unwrap();
        let (store, tenant, job) = (desk.store.clone(), desk.tenant, second.id);
        let retry = tokio::spawn(async move { store.retry_job(tenant, job).await.unwrap() });
        let store = desk.store.clone();
        let commit = tokio::spawn(async move { store.commit(&[completion(fence)]).await.unwrap() });
        assert_eq!(commit.await.unwrap(), [Ended::Now(JobState::Succeeded)]);
        assert!(matches!(retry.await.unwrap(), Retried::Now(_)));
        let run = desk.start().await.remove(0);
        assert_eq!(run.fence.job, second.id);
        desk.commit(&[run.fence]).await;
    }
    desk.assert_sound().await;
}

/// What had succeeded and is deleted was met; what had not, and is deleted, is never met.
pub async fn what_is_deleted_keeps_its_meaning(store: Store) {
    let desk = Desk::new(store);
    let (good, bad, open) = (desk.new_job(), desk.new_job(), desk.new_job());
    let mut batches = Vec::new();
    for job in [&good, &bad, &open] {
        batches.push(desk.submit_to(Band::Standard, std::slice::from_ref(job)).await);
    }
    let mut waits = after(&desk, &[&good, &open]);
    waits.after.push(Dependency::Batch(batches[0]));
    let lost = after(&desk, &[&bad]);
    desk.submit_to(Band::Standard, &[waits.clone(), lost.clone()]).await;
    let runs = desk.start().await;
    let fence = |job: &NewJob| runs.iter().find(|run| run.fence.job == job.id).unwrap().fence;
    desk.commit(&[fence(&good)]).await;
    desk.fail(fence(&bad), Loss::Permanent).await;
    desk.store.fold(10).await.unwrap();
    desk.store.delete_batch(desk.tenant, batches[0]).await.unwrap();
    desk.store.delete_batch(desk.tenant, batches[1]).await.unwrap();
    assert_eq!(desk.state(waits.id).await, JobState::Blocked);
    let error = desk.store.retry_job(desk.tenant, lost.id).await.unwrap_err();
    assert_eq!(error.kind(), PortErrorKind::Conflict, "{error}");
    desk.commit(&[fence(&open)]).await;
    assert_eq!(desk.state(waits.id).await, JobState::Queued);
    desk.assert_sound().await;
}

/// Nothing waits for what is not there, is another tenant's, comes later in the call, has failed, or is the own batch.
pub async fn unknown_dependencies_are_refused(store: Store) {
    let desk = Desk::new(store);
    let (_, others) = Desk::new(desk.store.clone()).submit(1).await;
    let (_, failed) = desk.submit(1).await;
    desk.store.cancel_job(desk.tenant, failed[0]).await.unwrap();
    let later = desk.new_job();
    let waits = |on| NewJob { after: vec![on], ..desk.new_job() };
    let unknown = [
        Dependency::Job(JobId::new(desk.ids.uuid())),
        Dependency::Batch(BatchId::new(desk.ids.uuid())),
        Dependency::Job(others[0]),
        Dependency::Job(later.id),
    ];
    let mut jobs: Vec<NewJob> = unknown.map(waits).to_vec();
    jobs.push(waits(Dependency::Job(failed[0])));
    jobs.push(later);
    let batch = desk.new_batch(Band::Standard);
    jobs.push(waits(Dependency::Batch(batch.id)));
    let Submitted::New(verdicts) = desk.store.submit(&batch, &jobs, None).await.unwrap() else {
        panic!("replayed")
    };
    for (verdict, dependency) in verdicts.iter().zip(unknown) {
        assert_eq!(*verdict, Verdict::Invalid(InvalidJob::UnknownDependency { dependency }));
    }
    let dependency = Dependency::Job(failed[0]);
    assert_eq!(verdicts[4], Verdict::Invalid(InvalidJob::FailedDependency { dependency }));
    assert_eq!(verdicts[5], Verdict::New);
    let dependency = Dependency::Batch(batch.id);
    assert_eq!(verdicts[6], Verdict::Invalid(InvalidJob::UnknownDependency { dependency }));
    desk.assert_sound().await;
}
