//! What workers write about their runs.

use std::sync::Arc;
use std::time::Duration;

use retouch_domain::{Cost, JobState, Loss};
use retouch_ports::store::{Beat, Completion, Ended, Fence, HandOver, Signal};
use retouch_ports::{JobStore, PortErrorKind};
use serde_json::json;

use super::desk::{Desk, completion, failure};

type Store = Arc<dyn JobStore>;

fn beat(fence: Fence) -> Beat {
    Beat { fence, on_device: true, step: 3, steps: 20 }
}

/// Nothing that a former worker writes has an effect.
pub async fn a_stale_epoch_changes_nothing(store: Store) {
    let desk = Desk::new(store);
    desk.submit(1).await;
    let ticket = desk.dispatch().await[0];
    let frozen = desk.expired();
    let old = desk.claim_as(&frozen, &[ticket]).await.remove(0).fence;
    desk.store.take_over(&desk.terms(), &ticket, None, 0.5).await.unwrap();
    let before = desk.job(ticket.job).await;
    assert_eq!(desk.store.renew(&frozen, &[beat(old)]).await.unwrap(), [Signal::Lost]);
    assert_eq!(desk.commit(&[old]).await, [Ended::Stale]);
    for loss in Loss::ALL {
        assert_eq!(desk.fail(old, loss).await, Ended::Stale);
    }
    let hand_over = HandOver { fence: old, export: Some(vec![1]), cost: Cost::default() };
    assert_eq!(desk.store.hand_over(&[hand_over]).await.unwrap(), [Ended::Stale]);
    assert_eq!(desk.store.release_canceled(&[(old, Cost::default())]).await.unwrap(), [Ended::Stale]);
    let future = Fence { epoch: 9, ..old };
    assert_eq!(desk.commit(&[future]).await, [Ended::Stale]);
    assert_eq!(desk.job(ticket.job).await, before);
    desk.assert_sound().await;
}

/// The same result, written by many at once and twice in one call, is one result.
pub async fn many_commits_take_effect_once(store: Store) {
    let desk = Desk::new(store);
    let (batch, _) = desk.submit(4).await;
    let fences: Vec<Fence> = desk.start().await.iter().map(|run| run.fence).collect();
    let writers = (0..6).map(|number: usize| {
        let store = desk.store.clone();
        let mut fences = fences.clone();
        fences.rotate_left(number % 4);
        fences.push(fences[0]);
        tokio::spawn(async move {
            let completions: Vec<Completion> = fences.iter().map(|fence| completion(*fence)).collect();
            let ended = store.commit(&completions).await.unwrap();
            ended.into_iter().filter(|ended| *ended == Ended::Now(JobState::Succeeded)).count()
        })
    });
    let mut committed = 0;
    for writer in writers.collect::<Vec<_>>() {
        committed += writer.await.unwrap();
    }
    assert_eq!(committed, 4);
    assert_eq!(desk.store.batch(desk.tenant, batch).await.unwrap().unwrap().counts.succeeded, 4);
    desk.assert_sound().await;
}

/// A beat moves the end of the lease and tells how far the run is.
pub async fn a_beat_renews_and_reports(store: Store) {
    let desk = Desk::new(store);
    desk.submit(1).await;
    let ticket = desk.dispatch().await[0];
    let mut terms = desk.expired();
    let fence = desk.claim_as(&terms, &[ticket]).await.remove(0).fence;
    terms.length = Duration::from_secs(600);
    assert_eq!(desk.store.renew(&terms, &[beat(fence)]).await.unwrap(), [Signal::Continue]);
    let run = desk.job(ticket.job).await.run.unwrap();
    assert_eq!((run.step, run.steps, run.boot), (3, 20, terms.boot));
    assert!(run.expires_at > desk.store.now().await.unwrap());
    // Somebody else's beat is not the holder's.
    assert_eq!(desk.store.renew(&desk.other(), &[beat(fence)]).await.unwrap(), [Signal::Lost]);
    assert_eq!(desk.log(ticket.job).await, ["claimed"]);
    desk.assert_sound().await;
}

/// Cancel, hand-over and timeout reach the worker with its beat.
pub async fn a_beat_tells_what_to_do(store: Store) {
    let desk = Desk::new(store);
    let mut jobs = desk.new_jobs(2);
    jobs[1].timeout = Duration::from_micros(1);
    let batch = desk.submit_to(retouch_domain::Band::Standard, &jobs).await;
    let fences: Vec<Fence> = desk.start().await.iter().map(|run| run.fence).collect();
    let beats = [beat(fences[0]), beat(fences[1])];
    let renew = async || desk.store.renew(&desk.terms(), &beats).await.unwrap();
    assert_eq!(renew().await, [Signal::Continue, Signal::TimedOut]);
    assert_eq!(desk.fail(fences[1], Loss::Timeout).await, Ended::Now(JobState::Scheduled));
    desk.store.pause(desk.tenant, batch, true).await.unwrap();
    assert_eq!(renew().await, [Signal::HandOver, Signal::Lost]);
    desk.store.cancel_job(desk.tenant, jobs[0].id).await.unwrap();
    assert_eq!(renew().await, [Signal::Cancel, Signal::Lost]);
    desk.assert_sound().await;
}

/// Each transient failure is charged, the last one is final with the failure's own code.
pub async fn a_transient_failure_backs_off(store: Store) {
    let desk = Desk::new(store);
    let (batch, jobs) = desk.submit(1).await;
    for _ in 0..2 {
        let run = desk.start().await.remove(0);
        assert_eq!(desk.fail(run.fence, Loss::Transient).await, Ended::Now(JobState::Scheduled));
        assert_eq!(desk.dispatch().await, []);
        assert_eq!(desk.store.release_due(10).await.unwrap(), 1);
    }
    let run = desk.start().await.remove(0);
    assert_eq!(desk.fail(run.fence, Loss::Transient).await, Ended::Now(JobState::Failed));
    let job = desk.job(jobs[0]).await;
    assert_eq!((job.tally.failures, job.tally.starts), (3, 3));
    let error = job.error.unwrap();
    assert_eq!((error.code.as_str(), error.message.as_str()), ("image_unreadable", "the image ends early"));
    let attempts = desk.store.attempts(desk.tenant, jobs[0]).await.unwrap();
    assert!(attempts.iter().all(|attempt| attempt.charged && attempt.outcome == "transient"), "{attempts:?}");
    assert_eq!(desk.store.batch(desk.tenant, batch).await.unwrap().unwrap().counts.failed, 1);
    desk.assert_sound().await;
}

/// Bad input is tried once.
pub async fn a_permanent_failure_is_final(store: Store) {
    let desk = Desk::new(store);
    let (_, jobs) = desk.submit(1).await;
    let run = desk.start().await.remove(0);
    assert_eq!(desk.fail(run.fence, Loss::Permanent).await, Ended::Now(JobState::Failed));
    assert_eq!(desk.job(jobs[0]).await.error.unwrap().code.as_str(), "image_unreadable");
    desk.assert_sound().await;
}

/// One row that kills its worker among good ones: the good ones succeed, it fails after three deaths.
pub async fn a_row_that_kills_its_workers_fails_by_name(store: Store) {
    let desk = Desk::new(store);
    let (_, jobs) = desk.submit(3).await;
    let bad = jobs[1];
    let mut deaths = 0;
    loop {
        desk.store.release_due(10).await.unwrap();
        let tickets = desk.dispatch().await;
        if tickets.is_empty() {
            break;
        }
        // A row that must run alone has a worker of its own.
        let worker = desk.other();
        let mut runs = desk.claim_as(&worker, &tickets).await;
        if let Some(index) = runs.iter().position(|run| run.alone) {
            let alone = runs.remove(index);
            let others: Vec<Fence> = runs.iter().map(|run| run.fence).collect();
            let hand_overs: Vec<HandOver> = others
                .iter()
                .map(|fence| HandOver { fence: *fence, export: None, cost: Cost::default() })
                .collect();
            desk.store.hand_over(&hand_overs).await.unwrap();
            runs = vec![alone];
        }
        let beats: Vec<Beat> = runs.iter().map(|run| beat(run.fence)).collect();
        desk.store.renew(&worker, &beats).await.unwrap();
        if runs.iter().any(|run| run.fence.job == bad) {
            deaths += 1;
            let reaped = desk.store.reap_leases(&[worker.boot], 10, 0.5).await.unwrap();
            assert_eq!(reaped.len(), runs.len());
        } else {
            desk.commit(&runs.iter().map(|run| run.fence).collect::<Vec<_>>()).await;
        }
    }
    assert_eq!(deaths, 3);
    let job = desk.job(bad).await;
    assert_eq!((job.state, job.error.unwrap().code.as_str()), (JobState::Failed, "crash"));
    for good in [jobs[0], jobs[2]] {
        let job = desk.job(good).await;
        assert_eq!((job.state, job.tally.crashes), (JobState::Succeeded, 0));
    }
    desk.assert_sound().await;
}

/// Uncharged losses end too.
pub async fn twenty_starts_are_the_end(store: Store) {
    let desk = Desk::new(store);
    let (_, jobs) = desk.submit(1).await;
    for start in 1..=20 {
        let run = desk.start().await.remove(0);
        assert_eq!(run.starts, start);
        let hand_over = HandOver { fence: run.fence, export: None, cost: Cost::default() };
        desk.store.hand_over(&[hand_over]).await.unwrap();
    }
    let job = desk.job(jobs[0]).await;
    assert_eq!((job.state, job.error.unwrap().code.as_str()), (JobState::Failed, "max_starts"));
    desk.assert_sound().await;
}

/// The next worker gets what the last one exported; it is gone when the job is over.
pub async fn a_hand_over_keeps_the_state(store: Store) {
    let desk = Desk::new(store);
    desk.submit(1).await;
    let state: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    for round in 0..2_u8 {
        let run = desk.start().await.remove(0);
        let mut export = state.clone();
        export.push(round);
        let cost = Cost { device_ms: 9, forwards: 2, load_ms: 0 };
        let hand_over = HandOver { fence: run.fence, export: Some(export), cost };
        assert_eq!(desk.store.hand_over(&[hand_over]).await.unwrap(), [Ended::Now(JobState::Queued)]);
    }
    let run = desk.start().await.remove(0);
    let export = run.export.unwrap();
    assert_eq!((export.len(), export.last(), &export[..100_000]), (100_001, Some(&1), &state[..]));
    desk.commit(&[run.fence]).await;
    let attempts = desk.store.attempts(desk.tenant, run.fence.job).await.unwrap();
    assert_eq!(
        (attempts[0].outcome.as_str(), attempts[0].charged, attempts[0].cost.device_ms),
        ("handed_over", false, 9)
    );
    desk.assert_sound().await;
}

/// Children appear with their parent's result, in its batch, and are counted.
pub async fn children_come_with_the_result(store: Store) {
    let desk = Desk::new(store);
    let (batch, _) = desk.submit(1).await;
    let run = desk.start().await.remove(0);
    let children = desk.new_jobs(3);
    let with_children = Completion { children: children.clone(), ..completion(run.fence) };
    assert_eq!(
        desk.store.commit(std::slice::from_ref(&with_children)).await.unwrap(),
        [Ended::Now(JobState::Succeeded)]
    );
    assert_eq!(desk.store.commit(&[with_children]).await.unwrap(), [Ended::Stale]);
    assert_eq!(desk.store.fold(10).await.unwrap(), []);
    let counts = desk.store.batch(desk.tenant, batch).await.unwrap().unwrap().counts;
    assert_eq!((counts.total, counts.succeeded), (4, 1));
    let fences: Vec<Fence> = desk.start().await.iter().map(|run| run.fence).collect();
    assert_eq!(
        fences.iter().map(|fence| fence.job).collect::<Vec<_>>(),
        children.iter().map(|job| job.id).collect::<Vec<_>>()
    );
    desk.commit(&fences).await;
    assert_eq!(desk.store.fold(10).await.unwrap().len(), 1);
    assert_eq!(desk.assert_sound().await, 4);
}

/// A call with something too large takes no effect at all.
pub async fn what_breaks_a_limit_changes_nothing(store: Store) {
    let desk = Desk::new(store);
    desk.submit(2).await;
    let fences: Vec<Fence> = desk.start().await.iter().map(|run| run.fence).collect();
    let large = Completion { output: json!("x".repeat(70_000)), ..completion(fences[1]) };
    let error = desk.store.commit(&[completion(fences[0]), large]).await.unwrap_err();
    assert_eq!(error.kind(), PortErrorKind::Invalid, "{error}");
    let mut child = desk.new_job();
    child.cost_ms = 0;
    let broken = Completion { children: vec![desk.new_job(), child], ..completion(fences[1]) };
    let error = desk.store.commit(&[completion(fences[0]), broken]).await.unwrap_err();
    assert_eq!(error.kind(), PortErrorKind::Invalid, "{error}");
    let export = Some(vec![0; 17 * 1024 * 1024]);
    let hand_over = HandOver { fence: fences[0], export, cost: Cost::default() };
    let error = desk.store.hand_over(&[hand_over]).await.unwrap_err();
    assert_eq!(error.kind(), PortErrorKind::Invalid, "{error}");
    for fence in &fences {
        assert_eq!(desk.state(fence.job).await, JobState::Running);
    }
    assert_eq!(desk.store.fail(&[failure(fences[0], Loss::Permanent)], 0.5).await.unwrap().len(), 1);
    assert_eq!(desk.assert_sound().await, 2);
}

/// A JSON null is a result like any other.
pub async fn a_null_is_a_result(store: Store) {
    let desk = Desk::new(store);
    let (_, jobs) = desk.submit(1).await;
    let run = desk.start().await.remove(0);
    let done = Completion { output: serde_json::Value::Null, ..completion(run.fence) };
    desk.store.commit(&[done]).await.unwrap();
    assert_eq!(desk.job(jobs[0]).await.output, Some(serde_json::Value::Null));
    desk.assert_sound().await;
}
