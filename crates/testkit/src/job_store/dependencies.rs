//! Jobs that wait for others.

use std::sync::Arc;

use retouch_domain::{Band, BatchId, Dependency, InvalidJob, JobId, JobState, Loss, NewJob, Timestamp};
use retouch_ports::store::{Ended, Fence, Retried, Submitted, Verdict};
use retouch_ports::{Ids, JobStore};

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

/// A retried job whose parent still has to succeed waits for it.
pub async fn a_retry_waits_again(store: Store) {
    let desk = Desk::new(store);
    let first = desk.new_job();
    let second = after(&desk, &[&first]);
    desk.submit_to(Band::Standard, &[first.clone(), second.clone()]).await;
    let run = desk.start().await.remove(0);
    desk.fail(run.fence, Loss::Permanent).await;
    let retry = async |job| desk.store.retry_job(desk.tenant, job).await.unwrap();
    assert_eq!(retry(second.id).await, Retried::Now(JobState::Blocked));
    assert_eq!(retry(first.id).await, Retried::Now(JobState::Queued));
    let run = desk.start().await.remove(0);
    assert_eq!(run.fence.job, first.id);
    desk.commit(&[run.fence]).await;
    let run = desk.start().await.remove(0);
    assert_eq!(run.fence.job, second.id);
    desk.commit(&[run.fence]).await;
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
