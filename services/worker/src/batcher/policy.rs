//! Who is served next. No I/O, no clock, no tensor: a function of what there is to do and what was served.
//!
//! A *turn* belongs to one group: a few decodes, a few encodes, one forward. Its leader is chosen
//!
//! 1. by the share of the lower bands: while such a band has work, its oldest unit is served at least once in
//!    [`Rules::share`] turns;
//! 2. else by band, the most urgent first;
//! 3. within the band by group, the one that has used the least time of the device;
//! 4. within the group by age.
//!
//! Room that the leader's band leaves in a forward goes to the other bands of the group, so that a forward is never
//! smaller than it could be.

use std::collections::BTreeMap;
use std::time::Duration;

use retouch_domain::Band;
use retouch_ports::engine_source::Room;

/// Rows that can share a forward: one model and one size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupId(pub u32);

/// What an order needs next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Its text and images are to be encoded.
    Encode,
    /// A forward.
    Step,
    /// Its images are to be decoded.
    Decode,
    /// A slice of the device for itself.
    Exclusive,
}

/// An order with work to do: a gang, or an exclusive unit. Smaller ids are older.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unit {
    /// The order.
    pub id: u64,
    /// Its class.
    pub band: Band,
    /// What it can share a turn with.
    pub group: GroupId,
    /// What it needs next.
    pub phase: Phase,
    /// Rows.
    pub rows: usize,
    /// Rows of the network's batch that its next forward takes: all branches of all rows.
    pub branches: usize,
}

/// Settings of the choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// The k in "1 of every k turns"; at least 3.
    pub share: u32,
    /// Rows of one batch of encodes or decodes; a gang is not split.
    pub stage_rows: usize,
}

impl Default for Rules {
    fn default() -> Self {
        Self { share: 10, stage_rows: 4 }
    }
}

/// What is done before the next choice; the lists are of order ids, in the order of service.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Turn {
    /// Whose it is.
    pub group: Option<GroupId>,
    /// To decode.
    pub decode: Vec<u64>,
    /// To encode.
    pub encode: Vec<u64>,
    /// To share a forward.
    pub step: Vec<u64>,
    /// To get a slice.
    pub exclusive: Option<u64>,
    /// The order that it is for, and whether it is owed to its band.
    lead: Option<(u64, bool)>,
}

impl Turn {
    /// All orders that are served.
    pub fn served(&self) -> impl Iterator<Item = u64> {
        self.decode.iter().chain(&self.encode).chain(&self.step).chain(&self.exclusive).copied()
    }
}

/// The memory of the choice.
#[derive(Debug, Clone)]
pub struct Policy {
    rules: Rules,
    /// Turns since the oldest unit of each band was last served.
    since: [u32; Band::ALL.len()],
    /// Device time of the groups that have work. A group that comes back begins at the least of the others.
    used: BTreeMap<GroupId, Duration>,
}

impl Policy {
    /// Nothing served yet.
    pub fn new(rules: Rules) -> Self {
        Self { rules, since: [0; Band::ALL.len()], used: BTreeMap::new() }
    }

    /// The next turn; `None` if there is nothing to do. `room` says what a forward of a group holds; the first unit is taken
    /// even if it is larger.
    pub fn turn(&mut self, units: &[Unit], room: impl Fn(GroupId) -> Room) -> Option<Turn> {
        let mut units: Vec<&Unit> = units.iter().collect();
        units.sort_by_key(|unit| unit.id);
        self.enter(&units);
        let (lead, owed) = self.leader(&units)?;
        Some(self.fill(&units, lead, owed, room(lead.group)))
    }

    /// Chooses the rows of a turn's forward once more, after its decodes and encodes: what is encoded by now need not wait.
    pub fn refill(&self, turn: &mut Turn, units: &[Unit], room: Room) {
        turn.step = forward(&in_order(&units.iter().collect::<Vec<_>>(), turn), room);
    }

    /// Remembers a turn that was served: who of `units` waited, and the time that it took.
    pub fn served(&mut self, turn: &Turn, units: &[Unit], time: Duration) {
        if let Some(group) = turn.group {
            *self.used.entry(group).or_default() += time;
        }
        for band in Band::ALL {
            let oldest = units.iter().filter(|unit| unit.band == band).min_by_key(|unit| unit.id);
            let waits = oldest.is_some_and(|oldest| turn.served().all(|id| id != oldest.id));
            let since = &mut self.since[band.rank()];
            *since = if waits { since.saturating_add(1) } else { 0 };
        }
    }

    /// Keeps accounts of the groups with work alone.
    fn enter(&mut self, units: &[&Unit]) {
        self.used.retain(|group, _| units.iter().any(|unit| unit.group == *group));
        let least = self.used.values().min().copied().unwrap_or_default();
        for unit in units {
            self.used.entry(unit.group).or_insert(least);
        }
    }

    /// The unit that the turn is for, and whether it is owed to a lower band.
    fn leader<'a>(&self, units: &[&'a Unit]) -> Option<(&'a Unit, bool)> {
        let urgent = units.iter().map(|unit| unit.band).min()?;
        let lower: Vec<Band> = Band::ALL
            .into_iter()
            .filter(|band| *band > urgent && units.iter().any(|unit| unit.band == *band))
            .collect();
        // Two bands may fall due in the same turn: each must be early enough to let the other go first.
        let due = self.rules.share.saturating_sub(lower.len() as u32).max(1);
        let since = |band: Band| self.since[band.rank()];
        let owed = lower.into_iter().filter(|band| since(*band) >= due).max_by_key(|band| since(*band));
        if let Some(band) = owed {
            return units.iter().find(|unit| unit.band == band).map(|unit| (*unit, true));
        }
        let used = |unit: &Unit| self.used.get(&unit.group).copied().unwrap_or_default();
        let of_band = units.iter().filter(|unit| unit.band == urgent);
        of_band.min_by_key(|unit| (used(unit), unit.id)).map(|unit| (*unit, false))
    }

    fn fill(&self, units: &[&Unit], lead: &Unit, owed: bool, room: Room) -> Turn {
        let mut turn = Turn { group: Some(lead.group), lead: Some((lead.id, owed)), ..Turn::default() };
        if lead.phase == Phase::Exclusive {
            turn.exclusive = Some(lead.id);
            return turn;
        }
        let order = in_order(units, &turn);
        // What is less urgent than the leader encodes and decodes in turns of its own.
        let stage = |phase: Phase| -> Vec<u64> {
            let mut rows = 0;
            let waiting = order.iter().filter(|unit| unit.phase == phase && unit.band <= lead.band);
            waiting
                .take_while(|unit| {
                    rows += unit.rows;
                    rows <= self.rules.stage_rows || rows == unit.rows
                })
                .map(|unit| unit.id)
                .collect()
        };
        turn.decode = stage(Phase::Decode);
        turn.encode = stage(Phase::Encode);
        turn.step = forward(&order, room);
        turn
    }
}

/// The units of a turn's group in the order of service: the leader first if it is owed, then by band and age.
fn in_order<'a>(units: &[&'a Unit], turn: &Turn) -> Vec<&'a Unit> {
    let mut order: Vec<&Unit> = units.iter().copied().filter(|unit| Some(unit.group) == turn.group).collect();
    let led = |unit: &Unit| turn.lead.is_some_and(|(id, owed)| owed && id == unit.id);
    order.sort_by_key(|unit| (!led(unit), unit.band, unit.id));
    order
}

/// The units of a forward: as many of them as fit, in their order.
fn forward(order: &[&Unit], room: Room) -> Vec<u64> {
    let (mut rows, mut branches) = (0, 0);
    let mut taken = Vec::new();
    for unit in order.iter().filter(|unit| unit.phase == Phase::Step) {
        let fits = rows + unit.rows <= room.rows && branches + unit.branches <= room.branches;
        if fits || taken.is_empty() {
            rows += unit.rows;
            branches += unit.branches;
            taken.push(unit.id);
        }
    }
    taken
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    const ROOM: Room = Room { rows: 6, branches: 16 };

    fn band() -> impl Strategy<Value = Band> {
        prop::sample::select(Band::ALL.to_vec())
    }

    fn phase() -> impl Strategy<Value = Phase> {
        prop::sample::select(vec![Phase::Encode, Phase::Step, Phase::Step, Phase::Decode, Phase::Exclusive])
    }

    fn units() -> impl Strategy<Value = Vec<Unit>> {
        let one = (band(), 0_u32..3, phase(), 1_usize..=4, 1_usize..=3);
        prop::collection::vec(one, 0..30).prop_map(|all| {
            let numbered = all.into_iter().enumerate();
            numbered
                .map(|(id, (band, group, phase, rows, branches))| Unit {
                    id: id as u64,
                    band,
                    // An exclusive unit is a group of its own.
                    group: GroupId(if phase == Phase::Exclusive { 100 + id as u32 } else { group }),
                    phase,
                    rows,
                    branches: rows * branches,
                })
                .collect()
        })
    }

    fn unit(id: u64, band: Band, group: u32) -> Unit {
        Unit { id, band, group: GroupId(group), phase: Phase::Step, rows: 1, branches: 3 }
    }

    proptest! {
        #[test]
        fn a_turn_is_of_one_group_and_fits(all in units(), rounds in 1_usize..20) {
            let mut policy = Policy::new(Rules::default());
            for _ in 0..rounds {
                let Some(turn) = policy.turn(&all, |_| ROOM) else {
                    prop_assert!(all.is_empty());
                    return Ok(());
                };
                let of = |id: u64| all.iter().find(|unit| unit.id == id).unwrap();
                let group = turn.group.unwrap();
                prop_assert!(turn.served().count() > 0);
                prop_assert!(turn.served().all(|id| of(id).group == group));
                prop_assert_eq!(turn.served().collect::<BTreeSet<_>>().len(), turn.served().count());
                for (ids, phase) in [(&turn.decode, Phase::Decode), (&turn.encode, Phase::Encode), (&turn.step, Phase::Step)] {
                    prop_assert!(ids.iter().all(|id| of(*id).phase == phase));
                }
                let rows = |ids: &[u64]| ids.iter().map(|id| of(*id).rows).sum::<usize>();
                let branches: usize = turn.step.iter().map(|id| of(*id).branches).sum();
                prop_assert!(turn.step.len() == 1 || rows(&turn.step) <= ROOM.rows && branches <= ROOM.branches);
                for stage in [&turn.decode, &turn.encode] {
                    prop_assert!(stage.len() <= 1 || rows(stage) <= Rules::default().stage_rows);
                }
                // Nobody who would still fit is left behind.
                let left = all.iter().filter(|unit| unit.group == group && unit.phase == Phase::Step);
                for unit in left.filter(|unit| !turn.step.contains(&unit.id)) {
                    let fits = rows(&turn.step) + unit.rows <= ROOM.rows && branches + unit.branches <= ROOM.branches;
                    prop_assert!(!fits || turn.exclusive.is_some());
                }
                policy.served(&turn, &all, Duration::from_millis(turn.served().count() as u64));
            }
        }

        /// The guarantee, whatever else there is: whoever is oldest in a lower band is served once in k turns.
        #[test]
        fn the_oldest_of_a_lower_band_gets_its_share(all in units(), share in 3_u32..12) {
            let mut policy = Policy::new(Rules { share, ..Rules::default() });
            let mut waited = [0_u32; 3];
            for _ in 0..100 {
                let Some(turn) = policy.turn(&all, |_| ROOM) else { return Ok(()) };
                let urgent = all.iter().map(|unit| unit.band).min().unwrap();
                for band in Band::ALL.into_iter().filter(|band| *band > urgent) {
                    let Some(oldest) = all.iter().find(|unit| unit.band == band) else { continue };
                    let waited = &mut waited[band.rank()];
                    *waited = if turn.served().any(|id| id == oldest.id) { 0 } else { *waited + 1 };
                    prop_assert!(*waited < share, "{band:?} waits for {waited} turns");
                }
                policy.served(&turn, &all, Duration::from_millis(7));
            }
        }

        /// Work ends although more urgent work never does.
        #[test]
        fn nobody_starves(bulk in 1_usize..8, steps in 1_u32..6, groups in 1_u32..3) {
            let mut policy = Policy::new(Rules::default());
            let mut left: BTreeMap<u64, u32> = (0..bulk as u64).map(|id| (id, steps)).collect();
            let mut turns = 0;
            while !left.is_empty() {
                // As much interactive work as fills every forward, always new, in another group too.
                let fresh = (0..12).map(|i| unit(1000 + turns * 100 + i, Band::Interactive, i as u32 % groups));
                let mut all: Vec<Unit> = left.keys().map(|id| unit(*id, Band::Bulk, 0)).collect();
                all.extend(fresh);
                let turn = policy.turn(&all, |_| ROOM).unwrap();
                for id in &turn.step {
                    if let Some(steps) = left.get_mut(id) {
                        *steps -= 1;
                    }
                }
                left.retain(|_, steps| *steps > 0);
                policy.served(&turn, &all, Duration::from_millis(5));
                turns += 1;
                prop_assert!(turns <= 10 * u64::from(steps) * bulk as u64, "{left:?}");
            }
        }

        /// Two groups with work all the time use the device equally, to one turn.
        #[test]
        fn groups_share_the_device(costs in prop::collection::vec((1_u64..50, 1_u64..50), 1..200)) {
            let mut policy = Policy::new(Rules::default());
            let all: Vec<Unit> = (0..20).map(|id| unit(id, Band::Bulk, id as u32 % 2)).collect();
            let mut used = [0_u64; 2];
            for (first, second) in costs {
                let turn = policy.turn(&all, |_| ROOM).unwrap();
                let group = turn.group.unwrap().0;
                let cost = if group == 0 { first } else { second };
                used[group as usize] += cost;
                policy.served(&turn, &all, Duration::from_millis(cost));
                prop_assert!(used[0].abs_diff(used[1]) <= 50);
            }
        }
    }

    /// The rows of the next forward, which takes a second.
    fn next(policy: &mut Policy, all: &[Unit]) -> Vec<u64> {
        let turn = policy.turn(all, |_| ROOM).expect("work");
        policy.served(&turn, all, Duration::from_secs(1));
        turn.step
    }

    #[test]
    fn a_more_urgent_row_is_in_the_very_next_forward() {
        let mut policy = Policy::new(Rules::default());
        let mut all: Vec<Unit> = (0..20).map(|id| unit(id, Band::Bulk, 0)).collect();
        assert_eq!(next(&mut policy, &all), [0, 1, 2, 3, 4]);
        all.push(unit(20, Band::Interactive, 0));
        assert_eq!(next(&mut policy, &all), [20, 0, 1, 2, 3]);
        all.push(unit(21, Band::Interactive, 1));
        assert_eq!(next(&mut policy, &all), [20, 0, 1, 2, 3]);
        assert_eq!(next(&mut policy, &all), [21], "the other group has used less since both have work");
    }

    #[test]
    fn a_group_that_was_away_has_saved_nothing() {
        let mut policy = Policy::new(Rules::default());
        let one = [unit(0, Band::Bulk, 0)];
        (0..10).for_each(|_| drop(next(&mut policy, &one)));
        let both = [unit(0, Band::Bulk, 0), unit(1, Band::Bulk, 1)];
        let rows: Vec<u64> = (0..6).flat_map(|_| next(&mut policy, &both)).collect();
        assert_eq!(rows, [0, 1, 0, 1, 0, 1]);
    }
}
