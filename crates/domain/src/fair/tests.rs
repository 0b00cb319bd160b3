//! Shares between bands and tenants under endless load.

use proptest::prelude::*;
use uuid::Uuid;

use super::*;

const RULES: Rules = Rules { window: 8, share_of: 10, run: 4 };

fn tenant(number: u128) -> TenantId {
    TenantId::new(Uuid::from_u128(number))
}

/// Jobs `first..first + count` of one shape and cost.
fn jobs(first: u128, count: u128, cost_ms: u32) -> VecDeque<Candidate> {
    let job = |number| Candidate { job: JobId::new(Uuid::from_u128(number)), shape: String::new(), cost_ms };
    (first..first + count).map(job).collect()
}

fn queue(number: u128, weight: u32, jobs: VecDeque<Candidate>) -> TenantQueue {
    TenantQueue { tenant: tenant(number), weight, deficit: 0, jobs }
}

fn band(band: Band, tenants: Vec<TenantQueue>) -> BandQueue {
    BandQueue { band, dispatched: 0, owed: 0, turn: None, tenants }
}

fn numbers(picks: &[(Band, JobId)]) -> Vec<u128> {
    picks.iter().map(|(_, job)| job.uuid().as_u128()).collect()
}

#[test]
fn a_higher_band_finds_room_whatever_waits_below() {
    let mut bulk = band(Band::Bulk, vec![queue(1, 1, jobs(100, 50, 1))]);
    bulk.dispatched = RULES.window;
    let mut bands = [band(Band::Interactive, vec![queue(1, 1, jobs(1, 3, 1))]), bulk];
    assert_eq!(numbers(&select(&mut bands, &mut HashMap::new(), &RULES)), [1, 2, 3]);
}

#[test]
fn runs_keep_a_shape_together_and_are_led_by_the_oldest() {
    let mut mixed = jobs(1, 6, 1);
    for (index, job) in mixed.iter_mut().enumerate() {
        job.shape = if index % 2 == 0 { "a" } else { "b" }.to_owned();
    }
    let mut bands = [band(Band::Standard, vec![queue(1, 1, mixed)])];
    let rules = Rules { run: 2, ..RULES };
    assert_eq!(numbers(&select(&mut bands, &mut HashMap::new(), &rules)), [1, 3, 2, 4, 5, 6]);
}

#[test]
fn a_tenant_at_its_limit_waits_and_holds_up_nobody() {
    let mut bands = [band(Band::Standard, vec![queue(1, 1, jobs(1, 5, 1)), queue(2, 1, jobs(11, 5, 1))])];
    let mut rooms = HashMap::from([(tenant(1), 2)]);
    let picks = numbers(&select(&mut bands, &mut rooms, &RULES));
    assert_eq!(picks.iter().filter(|job| **job < 10).count(), 2);
    assert_eq!(picks.len(), 7);
}

proptest! {
    /// Whatever runs above, a lower band with work gets 1 of every `k` dispatches.
    #[test]
    fn a_lower_band_gets_its_share(share_of in 3_u32..20, window in 1_u32..40, rounds in 1_usize..60) {
        let rules = Rules { window, share_of, run: 4 };
        let (mut owed, mut served) = ([0, 0], [0_usize; 3]);
        for _ in 0..rounds {
            // Everything dispatched is claimed at once, and every band has endless work.
            let mut bands = Band::ALL.map(|class| band(class, vec![queue(1, 1, jobs(1, 100, 5))]));
            (bands[1].owed, bands[2].owed) = (owed[0], owed[1]);
            for (class, _) in select(&mut bands, &mut HashMap::new(), &rules) {
                served[class.rank()] += 1;
            }
            owed = [bands[1].owed, bands[2].owed];
        }
        let total: usize = served.iter().sum();
        prop_assert!(total > 0);
        let share = total / share_of as usize;
        // Two bands may be owed the same dispatch; one of them then waits for one more.
        prop_assert!(served[1] + 1 >= share, "{:?}", served);
        prop_assert!(served[2] + 1 >= share, "{:?}", served);
    }

    /// Over many calls two busy tenants are served by weight, whatever their jobs cost.
    #[test]
    fn busy_tenants_are_served_by_weight(
        weights in (1_u32..5, 1_u32..5), costs in (1_u32..50, 1_u32..50), window in 1_u32..20,
    ) {
        let rules = Rules { window, share_of: 10, run: 4 };
        let (mut deficits, mut turn, mut used) = ([0, 0], None, [0_i64; 2]);
        for _ in 0..2000 / window {
            let tenants = vec![
                TenantQueue { deficit: deficits[0], ..queue(1, weights.0, jobs(1, 100, costs.0)) },
                TenantQueue { deficit: deficits[1], ..queue(2, weights.1, jobs(1001, 100, costs.1)) },
            ];
            let mut bands = [BandQueue { turn, ..band(Band::Bulk, tenants) }];
            for job in numbers(&select(&mut bands, &mut HashMap::new(), &rules)) {
                let second = usize::from(job > 1000);
                used[second] += i64::from([costs.0, costs.1][second]);
            }
            deficits = [bands[0].tenants[0].deficit, bands[0].tenants[1].deficit];
            turn = bands[0].turn;
        }
        // Time used per weight differs by no more than what one turn is worth, and one job.
        let per_weight = [used[0] / i64::from(weights.0), used[1] / i64::from(weights.1)];
        let turn_worth = i64::from(costs.0.max(costs.1));
        prop_assert!((per_weight[0] - per_weight[1]).abs() <= 2 * turn_worth + 1, "{:?}", per_weight);
    }

    /// A call fills the window and no more, picks nothing twice, and leaves nothing out while there is room.
    #[test]
    fn the_window_is_filled_and_kept(
        counts in prop::collection::vec((0_usize..3, 1_u128..5, 0_u128..20, 1_u32..9), 0..8),
        window in 0_u32..30, dispatched in 0_u32..30,
    ) {
        let mut bands = Band::ALL.map(|class| band(class, Vec::new()));
        let mut waiting = 0;
        for (number, (rank, id, count, cost)) in (0_u128..).zip(counts) {
            if bands[rank].tenants.iter().all(|queue| queue.tenant != tenant(id)) {
                waiting += count;
                bands[rank].tenants.push(queue(id, 1, jobs(1 + number * 1000, count, cost)));
                bands[rank].tenants.sort_by_key(|queue| queue.tenant);
            }
        }
        bands[0].dispatched = dispatched;
        let rules = Rules { window, share_of: 10, run: 4 };
        let picks = select(&mut bands, &mut HashMap::new(), &rules);
        let mut distinct = numbers(&picks);
        distinct.sort_unstable();
        distinct.dedup();
        prop_assert_eq!(distinct.len(), picks.len());
        let room = usize::try_from(window.saturating_sub(dispatched)).unwrap();
        let waiting = usize::try_from(waiting).unwrap();
        prop_assert!(picks.len() >= room.min(waiting));
        // Beyond the room there is only what lower bands are owed.
        prop_assert!(picks.len() <= room + 2 * (1 + picks.len() / 10));
    }
}
