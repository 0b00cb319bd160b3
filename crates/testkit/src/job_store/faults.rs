//! Many workers that lose leases, die, hand over and write late, all at once.

use std::sync::Arc;
use std::time::Duration;

use retouch_domain::{BatchState, Cost, JobState, Loss};
use retouch_ports::store::{Beat, Claim, Dispatched, Fence, HandOver, LeaseTerms};
use retouch_ports::{Ids, JobStore};

use super::desk::{Desk, WIDE, completion, failure};
use crate::ids::SeededIds;

const JOBS: usize = 60;

/// Every job ends with one result, whatever happens to its runs, and the account is sound.
pub async fn many_workers_lose_and_double_nothing(store: Arc<dyn JobStore>) {
    let desk = Arc::new(Desk::new(store));
    let (batch, jobs) = desk.submit(JOBS).await;
    let workers: Vec<_> = (0..4)
        .map(|number| {
            let desk = desk.clone();
            tokio::spawn(async move { work(&desk, batch, 1000 + number).await })
        })
        .collect();
    let mut visible = 0;
    for worker in workers {
        visible += worker.await.unwrap();
    }
    assert_eq!(visible, JOBS);
    for job in jobs {
        assert_eq!(desk.state(job).await, JobState::Succeeded);
    }
    assert_eq!(desk.assert_sound().await, JOBS);
}

/// One worker and one scheduler in a loop; answers how many of its results became visible.
async fn work(desk: &Desk, batch: retouch_domain::BatchId, seed: u64) -> usize {
    let random = SeededIds::new(seed);
    let mut visible = 0;
    loop {
        desk.store.release_due(100).await.unwrap();
        desk.store.reap_leases(&[], 100, random.unit()).await.unwrap();
        desk.store.fold(10).await.unwrap();
        let record = desk.store.batch(desk.tenant, batch).await.unwrap().unwrap();
        if record.state == BatchState::Completed {
            return visible;
        }
        let Dispatched::Tickets(tickets) = desk.store.dispatch(&desk.pool(), &WIDE).await.unwrap() else {
            continue;
        };
        // Half of the workers' leases expire at once, so that another takes the job while this one goes on.
        let length = if random.unit() < 0.5 { Duration::ZERO } else { Duration::from_secs(3600) };
        let terms = LeaseTerms { boot: desk.new_boot(), length };
        for claim in desk.store.claim(&terms, &tickets).await.unwrap() {
            if let Claim::Claimed(run) = claim {
                visible += usize::from(end(desk, &terms, run.fence, run.starts, random.unit()).await);
            }
        }
    }
}

/// Ends a run in one of many ways; true if its result became visible.
async fn end(desk: &Desk, terms: &LeaseTerms, fence: Fence, starts: u32, dice: f64) -> bool {
    let beat = Beat { fence, on_device: false, step: 1, steps: 2 };
    desk.store.renew(terms, &[beat]).await.unwrap();
    // What was started often has had its share of trouble.
    match if starts > 10 { 1.0 } else { dice } {
        dice if dice < 0.1 => {
            desk.store.fail(&[failure(fence, Loss::LeaseExpired)], dice).await.unwrap();
        }
        dice if dice < 0.2 => {
            let hand_over = HandOver { fence, export: Some(vec![7]), cost: Cost::default() };
            desk.store.hand_over(&[hand_over]).await.unwrap();
        }
        dice if dice < 0.3 => {
            // The worker dies: its lease is reaped by whoever hears of it.
            desk.store.reap_leases(&[terms.boot], 100, dice).await.unwrap();
        }
        dice => {
            let twice = dice < 0.6;
            let ended = desk.store.commit(&[completion(fence)]).await.unwrap();
            if twice {
                desk.store.commit(&[completion(fence)]).await.unwrap();
            }
            return ended == [retouch_ports::store::Ended::Now(JobState::Succeeded)];
        }
    }
    false
}
