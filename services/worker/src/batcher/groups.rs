//! What there is to do, by groups that can share a forward, and how much a forward of each may hold.

use std::collections::BTreeMap;
use std::time::Duration;

use retouch_ports::engine_source::Room;
use retouch_ports::step_engine::{RowId, RowStatus, Stage};

use super::device::{Device, State};
use super::policy::{GroupId, Phase, Unit};

/// Groups whose forwards are remembered.
const MOST_GROUPS: usize = 256;
/// The numbers of groups of rows are below this, those of exclusive units from here on.
const FIRST_EXCLUSIVE: u32 = 1 << 31;

/// What a group's forwards have shown.
pub(super) struct Group {
    pub(super) id: GroupId,
    /// What the next forward may hold.
    pub(super) room: Room,
    /// What none may hold: it did not fit the memory, or more than the model allows.
    pub(super) ceiling: usize,
}

/// Rows of one model and size.
pub(super) type GroupKey = (String, Option<(u32, u32)>);

impl Device {
    /// What there is to do, for the policy.
    pub(super) fn units(&mut self) -> Vec<Unit> {
        let mut statuses: BTreeMap<(&str, RowId), RowStatus> = BTreeMap::new();
        for (model, held) in self.models.all() {
            statuses.extend(held.engine.rows().into_iter().map(|row| ((model.as_str(), row.id), row)));
        }
        let mut units = Vec::new();
        let mut found = Vec::new();
        for (&id, order) in &self.orders {
            let (phase, rows, branches) = match &order.state {
                State::Waiting(_) | State::Unadmitted(_) | State::Wish(_) => continue,
                State::Slices(_) => (Phase::Exclusive, 0, 0),
                State::Resident(ids) => {
                    let of = ids.iter().filter_map(|row| statuses.get(&(order.model.as_str(), *row)));
                    let of: Vec<&RowStatus> = of.collect();
                    let Some(phase) = phase(&of) else { continue };
                    let steps = of.iter().filter(|row| row.stage == Stage::Denoising);
                    (phase, ids.len(), steps.map(|row| row.branches).sum())
                }
            };
            found.push((id, order.model.clone(), order.size));
            units.push(Unit { id, band: order.band, group: GroupId(0), phase, rows, branches });
        }
        for (unit, (id, model, size)) in units.iter_mut().zip(found) {
            // Each exclusive unit is a group of its own, beyond those of rows.
            let own = || GroupId(FIRST_EXCLUSIVE + (id % u64::from(FIRST_EXCLUSIVE)) as u32);
            unit.group = if size.is_none() { own() } else { self.group(&model, size).id };
        }
        units
    }

    pub(super) fn group(&mut self, model: &str, size: Option<(u32, u32)>) -> &mut Group {
        let room = self.models.get(model).map_or(Room { rows: 1, branches: 1 }, |held| held.room);
        let key = (model.to_owned(), size);
        if self.groups.len() >= MOST_GROUPS && !self.groups.contains_key(&key) {
            // What was learned of sizes that nobody edits at now is learned again when it is needed.
            let orders = &self.orders;
            self.groups
                .retain(|(model, size), _| orders.values().any(|o| o.model == *model && o.size == *size));
        }
        let id = GroupId(self.next_group);
        self.next_group = (self.next_group + 1) % FIRST_EXCLUSIVE;
        self.groups.entry(key).or_insert_with(|| {
            // Begins small: the first forwards show how long one takes.
            Group { id, room: Room { branches: room.branches.min(12), ..room }, ceiling: room.branches }
        })
    }
}

impl Group {
    /// Adapts the room to what a forward of so many branches took: down at once, up by a quarter while forwards are full.
    pub(super) fn learn(&mut self, branches: usize, took: Duration, max_step: Duration) {
        let fitting = branches as f64 * max_step.as_secs_f64() / took.as_secs_f64().max(1e-6);
        let fitting = (fitting as usize).max(1);
        let full = branches + 3 > self.room.branches;
        if took > max_step {
            self.room.branches = fitting;
        } else if full && fitting > self.room.branches {
            let more = self.room.branches + self.room.branches / 4 + 1;
            self.room.branches = more.min(fitting).min(self.ceiling.max(1));
        }
    }
}

/// What a gang needs next.
fn phase(rows: &[&RowStatus]) -> Option<Phase> {
    let any = |stage: Stage| rows.iter().any(|row| row.stage == stage);
    if any(Stage::Admitted) {
        Some(Phase::Encode)
    } else if any(Stage::Denoising) {
        Some(Phase::Step)
    } else if rows.is_empty() {
        None
    } else {
        Some(Phase::Decode)
    }
}
