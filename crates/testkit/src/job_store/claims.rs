//! Claims, takeovers, liveness.

use std::sync::Arc;

use retouch_domain::{Band, JobState, Timestamp};
use retouch_ports::store::{Beat, Canceled, Claim, Ended, Refusal, TakeOver};
use retouch_ports::{JobStore, PortErrorKind};

use super::desk::Desk;

type Store = Arc<dyn JobStore>;

/// The whole way of a job, with its log, attempt, cost and counts.
pub async fn a_job_runs_and_succeeds(store: Store) {
    let desk = Desk::new(store);
    let (batch, jobs) = desk.submit(1).await;
    let run = desk.start().await.remove(0);
    let spec = desk.job(jobs[0]).await.spec;
    assert_eq!((run.fence.job, run.fence.epoch, run.starts, run.alone), (jobs[0], 1, 1, false));
    assert_eq!((run.payload, run.inputs, run.kind, run.version), (spec.payload, spec.inputs, spec.kind, 1));
    let job = desk.job(jobs[0]).await;
    assert_eq!((job.state, job.dispatched_at), (JobState::Running, None));
    assert_eq!(job.run.map(|run| run.boot), Some(desk.boot));
    assert_eq!(desk.commit(&[run.fence]).await, [Ended::Now(JobState::Succeeded)]);
    let job = desk.job(jobs[0]).await;
    assert_eq!((job.state, job.run, job.tally.starts), (JobState::Succeeded, None, 1));
    assert_eq!(job.output.unwrap()["image"], format!("{}/1", jobs[0]));
    assert!(job.ended_at.is_some());
    let attempts = desk.store.attempts(desk.tenant, jobs[0]).await.unwrap();
    assert_eq!(attempts.len(), 1);
    assert_eq!(
        (attempts[0].epoch, attempts[0].outcome.as_str(), attempts[0].charged),
        (1, "succeeded", false)
    );
    assert_eq!(
        (attempts[0].cost.device_ms, attempts[0].cost.forwards, attempts[0].boot),
        (70, 20, desk.boot)
    );
    assert_eq!(desk.log(jobs[0]).await, ["claimed", "committed"]);
    assert_eq!(desk.store.batch(desk.tenant, batch).await.unwrap().unwrap().counts.succeeded, 1);
    desk.assert_sound().await;
}

/// A doubled ticket, in one call or in two, starts nothing twice.
pub async fn a_ticket_is_worth_one_run(store: Store) {
    let desk = Desk::new(store);
    desk.submit(1).await;
    let ticket = desk.dispatch().await[0];
    let claims = desk.store.claim(&desk.terms(), &[ticket, ticket]).await.unwrap();
    assert!(matches!(claims[..], [Claim::Claimed(_), Claim::Refused(Refusal::Running)]), "{claims:?}");
    let claims = desk.store.claim(&desk.other(), &[ticket]).await.unwrap();
    assert_eq!(claims, [Claim::Refused(Refusal::Running)]);
    desk.assert_sound().await;
}

/// Eight workers at once: each job runs once.
pub async fn many_claimants_get_a_job_once(store: Store) {
    let desk = Desk::new(store);
    desk.submit(16).await;
    let tickets = desk.dispatch().await;
    let workers = (0..8).map(|number: usize| {
        let (store, terms, mut tickets) = (desk.store.clone(), desk.other(), tickets.clone());
        tickets.rotate_left(number * 2);
        tokio::spawn(async move {
            let claims = store.claim(&terms, &tickets).await.unwrap();
            claims.into_iter().filter(|claim| matches!(claim, Claim::Claimed(_))).count()
        })
    });
    let mut claimed = 0;
    for worker in workers.collect::<Vec<_>>() {
        claimed += worker.await.unwrap();
    }
    assert_eq!(claimed, 16);
    desk.assert_sound().await;
}

/// Each reason why a ticket is void has its name.
pub async fn a_claim_is_refused_by_name(store: Store) {
    let desk = Desk::new(store);
    let (_, jobs) = desk.submit(2).await;
    let late = desk.submit_to(Band::Standard, &desk.new_jobs(1)).await;
    let tickets = desk.dispatch().await;
    let claim = async |ticket| desk.store.claim(&desk.terms(), &[ticket]).await.unwrap().remove(0);
    let mut ticket = tickets[0];
    ticket.epoch = 7;
    assert_eq!(claim(ticket).await, Claim::Refused(Refusal::Stale));
    ticket = tickets[0];
    ticket.tenant = Desk::new(desk.store.clone()).tenant;
    assert_eq!(claim(ticket).await, Claim::Refused(Refusal::Unknown));
    ticket.job = retouch_domain::JobId::new(retouch_ports::Ids::uuid(&desk.ids));
    assert_eq!(claim(ticket).await, Claim::Refused(Refusal::Unknown));
    assert_eq!(desk.store.cancel_job(desk.tenant, jobs[1]).await.unwrap(), Canceled::Now);
    assert_eq!(claim(tickets[1]).await, Claim::Refused(Refusal::NotQueued(JobState::Canceled)));
    desk.store.cancel_batch(desk.tenant, late).await.unwrap();
    assert_eq!(claim(tickets[2]).await, Claim::Refused(Refusal::NotQueued(JobState::Canceled)));
    let mut job = desk.new_job();
    job.deadline = Some(Timestamp::from_micros(1));
    desk.submit_to(Band::Standard, std::slice::from_ref(&job)).await;
    ticket = tickets[0];
    ticket.job = job.id;
    assert_eq!(claim(ticket).await, Claim::Refused(Refusal::Expired));
    desk.assert_sound().await;
}

/// A ticket refused for pause or band is no dispatch any more.
pub async fn a_refused_ticket_is_dispatched_again(store: Store) {
    let desk = Desk::new(store);
    let (batch, _) = desk.submit(1).await;
    let ticket = desk.dispatch().await[0];
    desk.store.pause(desk.tenant, batch, false).await.unwrap();
    let claims = desk.store.claim(&desk.terms(), &[ticket]).await.unwrap();
    assert_eq!(claims, [Claim::Refused(Refusal::Paused)]);
    assert_eq!(desk.dispatch().await, []);
    desk.store.resume(desk.tenant, batch).await.unwrap();
    assert_eq!(desk.dispatch().await, [ticket]);
    desk.store.move_to_band(desk.tenant, batch, Band::Interactive).await.unwrap();
    let claims = desk.store.claim(&desk.terms(), &[ticket]).await.unwrap();
    assert_eq!(claims, [Claim::Refused(Refusal::Moved(Band::Interactive))]);
    let tickets = desk.dispatch().await;
    assert_eq!(tickets.iter().map(|ticket| ticket.band).collect::<Vec<_>>(), [Band::Interactive]);
    desk.claim_as(&desk.terms(), &tickets).await;
}

/// A redelivery is no proof of death.
pub async fn a_live_holder_keeps_its_run(store: Store) {
    let desk = Desk::new(store);
    desk.submit(1).await;
    let ticket = desk.dispatch().await[0];
    let other = desk.other();
    let run = desk.claim_as(&other, &[ticket]).await.remove(0);
    let answer = desk.store.take_over(&desk.terms(), &ticket, None, 0.5).await.unwrap();
    assert_eq!(answer, TakeOver::Held(other.boot));
    // The death of somebody else is no proof either.
    let answer = desk.store.take_over(&desk.terms(), &ticket, Some(desk.new_boot()), 0.5).await.unwrap();
    assert_eq!(answer, TakeOver::Held(other.boot));
    assert_eq!(desk.commit(&[run.fence]).await, [Ended::Now(JobState::Succeeded)]);
    let answer = desk.store.take_over(&desk.terms(), &ticket, None, 0.5).await.unwrap();
    assert_eq!(answer, TakeOver::Refused(Refusal::NotQueued(JobState::Succeeded)));
}

/// A worker that sees its own ticket again goes on in the same epoch, uncharged.
pub async fn a_run_is_readopted_by_its_worker(store: Store) {
    let desk = Desk::new(store);
    desk.submit(1).await;
    let ticket = desk.dispatch().await[0];
    let run = desk.claim_as(&desk.terms(), &[ticket]).await.remove(0);
    let answer = desk.store.take_over(&desk.terms(), &ticket, None, 0.5).await.unwrap();
    assert_eq!(answer, TakeOver::Readopted(run.fence));
    assert_eq!(desk.log(ticket.job).await, ["claimed"]);
    desk.assert_sound().await;
}

/// The former worker is fenced off, and the job is charged nothing.
pub async fn an_expired_lease_is_taken_over(store: Store) {
    let desk = Desk::new(store);
    desk.submit(1).await;
    let ticket = desk.dispatch().await[0];
    let old = desk.claim_as(&desk.expired(), &[ticket]).await.remove(0);
    let answer = desk.store.take_over(&desk.terms(), &ticket, None, 0.5).await.unwrap();
    let TakeOver::Claimed(new) = answer else { panic!("{answer:?}") };
    assert_eq!((new.fence.epoch, new.starts, new.alone), (2, 2, false));
    assert_eq!(desk.commit(&[old.fence]).await, [Ended::Stale]);
    assert_eq!(desk.commit(&[new.fence]).await, [Ended::Now(JobState::Succeeded)]);
    assert_eq!(desk.log(ticket.job).await, ["claimed", "lease_lost", "claimed", "committed"]);
    let attempts = desk.store.attempts(desk.tenant, ticket.job).await.unwrap();
    assert_eq!((attempts[0].outcome.as_str(), attempts[0].charged), ("lease_expired", false));
    desk.assert_sound().await;
}

/// A row that was not on the dead worker's device is no suspect; one that was runs alone after a backoff.
pub async fn a_dead_holders_waiting_run_is_taken_over(store: Store) {
    let desk = Desk::new(store);
    desk.submit(2).await;
    let tickets = desk.dispatch().await;
    let holder = desk.other();
    let runs = desk.claim_as(&holder, &tickets).await;
    let beat = Beat { fence: runs[1].fence, on_device: true, step: 1, steps: 20 };
    desk.store.renew(&holder, &[beat]).await.unwrap();
    let answer = desk.store.take_over(&desk.terms(), &tickets[0], Some(holder.boot), 0.5).await.unwrap();
    assert!(matches!(&answer, TakeOver::Claimed(run) if run.fence.epoch == 2 && !run.alone), "{answer:?}");
    let answer = desk.store.take_over(&desk.terms(), &tickets[1], Some(holder.boot), 0.5).await.unwrap();
    assert_eq!(answer, TakeOver::Ended(JobState::Scheduled));
    assert!(desk.job(tickets[1].job).await.tally.suspect);
    desk.store.release_due(10).await.unwrap();
    let run = desk.start().await.remove(0);
    assert_eq!((run.fence.job, run.alone), (tickets[1].job, true));
    desk.assert_sound().await;
}

/// What somebody asked to cancel is canceled when its worker is gone.
pub async fn a_run_to_be_canceled_is_not_taken_over(store: Store) {
    let desk = Desk::new(store);
    desk.submit(1).await;
    let ticket = desk.dispatch().await[0];
    desk.claim_as(&desk.expired(), &[ticket]).await;
    assert_eq!(desk.store.cancel_job(desk.tenant, ticket.job).await.unwrap(), Canceled::Requested);
    let answer = desk.store.take_over(&desk.terms(), &ticket, None, 0.5).await.unwrap();
    assert_eq!(answer, TakeOver::Ended(JobState::Canceled));
    desk.assert_sound().await;
}

/// A liveness lock is held once, seen by others, and freed by dropping it.
pub async fn workers_hold_their_liveness(store: Store) {
    let desk = Desk::new(store);
    assert!(!desk.store.is_alive(desk.boot).await.unwrap());
    let mut presence = desk.store.hold(desk.boot).await.unwrap();
    presence.check().await.unwrap();
    assert!(desk.store.is_alive(desk.boot).await.unwrap());
    assert!(!desk.store.is_alive(desk.new_boot()).await.unwrap());
    let error = desk.store.hold(desk.boot).await.err().unwrap();
    assert_eq!(error.kind(), PortErrorKind::Conflict, "{error}");
    drop(presence);
    // A server needs a moment to see that a connection is gone.
    while desk.store.is_alive(desk.boot).await.unwrap() {
        tokio::task::yield_now().await;
    }
    desk.store.hold(desk.boot).await.unwrap();
}
