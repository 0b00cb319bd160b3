//! Choosing what gets a ticket.

use std::collections::HashSet;
use std::sync::Arc;

use retouch_domain::fair::Rules;
use retouch_domain::{Band, JobState, Pool};
use retouch_ports::JobStore;
use retouch_ports::store::{Dispatched, TenantLimits, Ticket};

use super::desk::{Desk, WIDE};

type Store = Arc<dyn JobStore>;

const NARROW: Rules = Rules { window: 4, share_of: 10, run: 8 };

fn of(desk: &Desk, tickets: &[Ticket]) -> usize {
    tickets.iter().filter(|ticket| ticket.tenant == desk.tenant).count()
}

/// No more than the window waits for workers, and what is claimed makes room.
pub async fn the_window_is_filled_and_kept(store: Store) {
    let desk = Desk::new(store);
    let (_, jobs) = desk.submit(10).await;
    let tickets = desk.dispatch_by(&NARROW).await;
    assert_eq!(tickets.iter().map(|ticket| ticket.job).collect::<Vec<_>>(), jobs[..4]);
    assert!(desk.job(jobs[0]).await.dispatched_at.is_some());
    assert_eq!(desk.dispatch_by(&NARROW).await, []);
    desk.claim_as(&desk.terms(), &tickets[..3]).await;
    let tickets = desk.dispatch_by(&NARROW).await;
    assert_eq!(tickets.iter().map(|ticket| ticket.job).collect::<Vec<_>>(), jobs[4..7]);
    desk.assert_sound().await;
}

/// A ticket that the broker did not take makes its job due again; a claimed one is left alone.
pub async fn a_returned_ticket_is_given_again(store: Store) {
    let desk = Desk::new(store);
    desk.submit(2).await;
    let tickets = desk.dispatch().await;
    desk.claim_as(&desk.terms(), &tickets[..1]).await;
    assert_eq!(desk.store.undispatch(&tickets).await.unwrap(), 1);
    assert_eq!(desk.dispatch().await, tickets[1..]);
    desk.assert_sound().await;
}

/// Jobs that were dispatched before their queue was seen empty, and are still queued, are due again.
pub async fn lost_tickets_are_found(store: Store) {
    let desk = Desk::new(store);
    desk.submit(3).await;
    let before = desk.store.now().await.unwrap();
    let tickets = desk.dispatch().await;
    desk.claim_as(&desk.terms(), &tickets[..1]).await;
    let lost = async |band, before| desk.store.lost_tickets(&desk.pool(), band, before).await.unwrap();
    assert_eq!(lost(Band::Standard, before).await, 0);
    let after = desk.store.now().await.unwrap() + std::time::Duration::from_micros(1);
    assert_eq!(lost(Band::Bulk, after).await, 0);
    assert_eq!(lost(Band::Standard, after).await, 2);
    assert_eq!(desk.dispatch().await.len(), 2);
    desk.assert_sound().await;
}

/// A large backlog of one tenant does not hold up another; weights count.
pub async fn tenants_take_turns_by_weight(store: Store) {
    let (greedy, small) = (Desk::new(store.clone()), Desk::new(store.clone()));
    store.set_limits(small.tenant, TenantLimits { weight: 3, max_running: None }).await.unwrap();
    greedy.submit(100).await;
    small.submit(100).await;
    let mut served = (0, 0);
    for _ in 0..20 {
        let tickets = greedy.dispatch_by(&NARROW).await;
        served = (served.0 + of(&greedy, &tickets), served.1 + of(&small, &tickets));
        greedy.claim_as(&greedy.terms(), &tickets).await;
    }
    assert_eq!(served.0 + served.1, 80);
    assert!((18..=22).contains(&served.0), "{served:?}");
    greedy.assert_sound().await;
}

/// A tenant has no more jobs out than its limit, dispatched and running together.
pub async fn a_tenant_keeps_its_limit(store: Store) {
    let desk = Desk::new(store);
    desk.store.set_limits(desk.tenant, TenantLimits { weight: 1, max_running: Some(3) }).await.unwrap();
    desk.submit(10).await;
    let tickets = desk.dispatch().await;
    assert_eq!(tickets.len(), 3);
    let runs = desk.claim_as(&desk.terms(), &tickets).await;
    assert_eq!(desk.dispatch().await, []);
    desk.commit(&[runs[0].fence]).await;
    assert_eq!(desk.dispatch().await.len(), 1);
}

/// Under endless urgent work a bulk job is served once in ten dispatches.
pub async fn a_lower_band_gets_its_share(store: Store) {
    let desk = Desk::new(store);
    desk.submit_to(Band::Bulk, &desk.new_jobs(30)).await;
    desk.submit_to(Band::Interactive, &desk.new_jobs(200)).await;
    let mut bulk = 0;
    for _ in 0..25 {
        let tickets = desk.dispatch_by(&NARROW).await;
        bulk += tickets.iter().filter(|ticket| ticket.band == Band::Bulk).count();
        desk.claim_as(&desk.terms(), &tickets).await;
    }
    assert!((9..=11).contains(&bulk), "{bulk} of 100");
}

/// Rows of one shape follow each other.
pub async fn runs_of_a_shape_stay_together(store: Store) {
    let desk = Desk::new(store);
    let mut jobs = desk.new_jobs(8);
    for (index, job) in jobs.iter_mut().enumerate() {
        job.shape = if index % 2 == 0 { "a" } else { "b" }.to_owned();
    }
    desk.submit_to(Band::Standard, &jobs).await;
    let order: Vec<_> =
        desk.dispatch_by(&Rules { run: 3, ..WIDE }).await.iter().map(|ticket| ticket.job).collect();
    let expected: Vec<_> = [0, 2, 4, 1, 3, 5, 6, 7].map(|index: usize| jobs[index].id).to_vec();
    assert_eq!(order, expected);
}

/// Twice a parked ticket is given again after a wait, the third time the job fails by name.
pub async fn the_third_parking_fails_the_job(store: Store) {
    let desk = Desk::new(store);
    let (_, jobs) = desk.submit(1).await;
    for _ in 0..2 {
        let tickets = desk.dispatch().await;
        assert!(desk.store.park(&tickets[0], 0.5).await.unwrap());
        assert_eq!(desk.state(jobs[0]).await, JobState::Scheduled);
        assert!(!desk.store.park(&tickets[0], 0.5).await.unwrap());
        assert_eq!(desk.store.release_due(10).await.unwrap(), 1);
    }
    let tickets = desk.dispatch().await;
    assert!(desk.store.park(&tickets[0], 0.5).await.unwrap());
    let job = desk.job(jobs[0]).await;
    assert_eq!((job.state, job.error.unwrap().code.as_str()), (JobState::Failed, "undeliverable"));
    desk.assert_sound().await;
}

/// What waits is told by pool and band.
pub async fn the_backlog_adds_up(store: Store) {
    let desk = Desk::new(store);
    desk.submit_to(Band::Bulk, &desk.new_jobs(6)).await;
    let tickets = desk.dispatch_by(&Rules { window: 3, ..WIDE }).await;
    desk.claim_as(&desk.terms(), &tickets[..1]).await;
    let backlog = desk.store.backlog().await.unwrap();
    let rows: HashSet<_> = backlog
        .iter()
        .map(|row| (row.band, row.queued, row.queued_cost_ms, row.dispatched, row.running))
        .collect();
    assert_eq!(rows, HashSet::from([(Band::Bulk, 3, 300, 2, 1)]));
}

/// A tenant's limit is one for all pools together.
pub async fn a_limit_holds_across_pools(store: Store) {
    let desk = Desk::new(store);
    let limits = TenantLimits { weight: 1, max_running: Some(3) };
    desk.store.set_limits(desk.tenant, limits).await.unwrap();
    let other: Pool = "cpu".parse().unwrap();
    let mut jobs = desk.new_jobs(6);
    for job in &mut jobs[..3] {
        job.pool = other.clone();
    }
    desk.submit_to(Band::Standard, &jobs).await;
    let rules = Rules { window: 2, ..WIDE };
    assert_eq!(desk.dispatch_by(&rules).await.len(), 2);
    let Dispatched::Tickets(tickets) = desk.store.dispatch(&other, &rules).await.unwrap() else {
        panic!("nobody else dispatches")
    };
    assert_eq!(tickets.len(), 1);
    desk.assert_sound().await;
}
