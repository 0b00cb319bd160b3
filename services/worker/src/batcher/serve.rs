//! A turn on the device: decodes, deliveries, encodes, one forward; and what becomes of those who make it fail.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use retouch_ports::engine_source::Room;
use retouch_ports::step_engine::{EngineError, EngineErrorKind, RowId, Stage, StepEngine, UnitProgress};

use super::device::{Device, State};
use super::groups::Group;
use super::health::Activity;
use super::order::End;
use super::policy::{Turn, Unit};

/// A call of the engine for rows.
type Call = fn(&mut dyn StepEngine, &[RowId]) -> Result<(), EngineError>;

impl Device {
    pub(super) fn turn(&mut self, units: &[Unit]) {
        let rooms: Vec<_> = self.groups.values().map(|group| (group.id, group.room)).collect();
        let none = Room { rows: 1, branches: 1 };
        let room = |id| rooms.iter().find(|(known, _)| *known == id).map_or(none, |(_, room)| *room);
        let Some(mut turn) = self.policy.turn(units, room) else { return };
        let Some(group) = turn.group else { return };
        let start = (self.now)();
        for id in turn.decode.clone() {
            self.decode(id);
        }
        for id in turn.encode.clone() {
            self.encode(id);
        }
        let mut ready = units.to_vec();
        if !turn.encode.is_empty() {
            ready = self.units();
            self.policy.refill(&mut turn, &ready, room(group));
        }
        self.forward(&turn, &ready);
        if let Some(id) = turn.exclusive {
            self.slice(id);
        }
        let took = (self.now)().saturating_sub(start);
        self.policy.served(&turn, units, took);
        self.health.update(|figures| figures.busy += took);
    }

    /// Calls the engine for the rows of these orders that are in `stage`; the time that it took.
    fn call(&mut self, ids: &[u64], stage: Stage, call: Call) -> (Result<(), EngineError>, Duration) {
        let now = self.now.clone();
        let of = |id: &u64| match self.orders.get(id).map(|order| &order.state) {
            Some(State::Resident(rows)) => rows.clone(),
            _ => Vec::new(),
        };
        let rows: Vec<RowId> = ids.iter().flat_map(of).collect();
        let model = ids.first().and_then(|id| self.orders.get(id)).map(|order| order.model.clone());
        let Some(held) = model.and_then(|model| self.models.get(&model)) else {
            return (Ok(()), Duration::ZERO);
        };
        let in_stage =
            held.engine.rows().into_iter().filter(|row| row.stage == stage && rows.contains(&row.id));
        let rows: Vec<RowId> = in_stage.map(|row| row.id).collect();
        if rows.is_empty() {
            return (Ok(()), Duration::ZERO);
        }
        let start = now();
        let engine = held.engine.as_mut();
        let result = contain(|| call(engine, &rows));
        let end = now();
        self.health.beat(Activity::Computing, end);
        if result.is_ok() {
            self.failures = 0;
        }
        (result, end.saturating_sub(start))
    }

    fn encode(&mut self, id: u64) {
        let (result, took) = self.call(&[id], Stage::Admitted, |engine, rows| engine.encode(rows));
        let now = (self.now)();
        if let Some(order) = self.orders.get_mut(&id) {
            order.account.device += took;
            order.account.encode += took;
            order.encoded = Some(now);
        }
        match result {
            Ok(()) => self.report(&[id]),
            Err(error) => self.fail(id, error),
        }
    }

    fn decode(&mut self, id: u64) {
        let (result, took) = self.call(&[id], Stage::Denoised, |engine, rows| engine.decode(rows));
        if let Some(order) = self.orders.get_mut(&id) {
            order.account.device += took;
            order.account.decode += took;
        }
        match result.and_then(|()| self.take(id)) {
            Ok(outputs) => self.end(id, End::Finished(outputs)),
            Err(error) => self.fail(id, error),
        }
    }

    fn take(&mut self, id: u64) -> Result<Vec<retouch_ports::step_engine::Output>, EngineError> {
        let Some(order) = self.orders.get(&id) else { return Ok(Vec::new()) };
        let State::Resident(rows) = &order.state else { return Ok(Vec::new()) };
        let Some(held) = self.models.get(&order.model) else { return Ok(Vec::new()) };
        rows.iter().map(|row| held.engine.take(*row)).collect()
    }

    /// One forward for the turn's rows. Where it fails, halves are tried, until whoever makes it fail is alone with that; all
    /// others are one step further in the end.
    fn forward(&mut self, turn: &Turn, units: &[Unit]) {
        if turn.step.is_empty() {
            return;
        }
        let started = (self.now)();
        for id in &turn.step {
            let Some(order) = self.orders.get_mut(id) else { continue };
            if order.first.is_none() {
                order.first = Some(started);
                // A row that was handed over here comes encoded.
                order.account.ready = started.saturating_sub(order.encoded.unwrap_or(order.arrived));
            }
        }
        let mut left = vec![turn.step.clone()];
        while let Some(set) = left.pop() {
            let (result, took) = self.call(&set, Stage::Denoising, |engine, rows| engine.step(rows));
            match result {
                Ok(()) => self.advanced(&set, units, took),
                Err(error) => self.split(set, error, &mut left),
            }
        }
    }

    /// Decides about a set of orders whose forward failed.
    fn split(&mut self, mut set: Vec<u64>, error: EngineError, left: &mut Vec<Vec<u64>>) {
        let blamed = |id: &u64| match self.orders.get(id).map(|order| &order.state) {
            Some(State::Resident(rows)) => rows.iter().any(|row| error.rows.contains(row)),
            _ => false,
        };
        if let Some(position) = set.iter().position(blamed) {
            self.fail(set.remove(position), error);
            if !set.is_empty() {
                left.push(set);
            }
            return;
        }
        if let [id] = set[..] {
            return self.fail(id, error);
        }
        if error.kind == EngineErrorKind::OutOfMemory {
            self.shrink(&set);
        }
        let second = set.split_off(set.len().div_ceil(2));
        left.push(second);
        left.push(set);
    }

    /// Ends an order that cannot be served.
    fn fail(&mut self, id: u64, error: EngineError) {
        if error.kind == EngineErrorKind::Internal {
            self.failures += 1;
        }
        self.end(id, End::Failed(error));
    }

    /// Writes a forward to the accounts of those who shared it.
    fn advanced(&mut self, set: &[u64], units: &[Unit], took: Duration) {
        let branches =
            |id: &u64| units.iter().find(|unit| unit.id == *id).map_or(1, |unit| unit.branches.max(1));
        let all: usize = set.iter().map(branches).sum();
        let now = (self.now)();
        let mut rows = 0;
        for id in set {
            if let Some(order) = self.orders.get_mut(id) {
                order.account.device += took.mul_f64(branches(id) as f64 / all as f64);
                order.account.forwards += 1;
                order.account.denoise = now.saturating_sub(order.first.unwrap_or(now));
                rows += order.rows as u64;
            }
        }
        self.report(set);
        self.health.update(|figures| {
            figures.forwards += 1;
            figures.steps += rows;
        });
        let max_step = self.options.max_step;
        if let Some(group) = self.group_of(set) {
            group.learn(all, took, max_step);
        }
    }

    /// A forward of these orders did not fit the memory: none of their group will be as large again.
    fn shrink(&mut self, set: &[u64]) {
        let branches: usize =
            self.units().iter().filter(|unit| set.contains(&unit.id)).map(|unit| unit.branches).sum();
        if let Some(group) = self.group_of(set) {
            group.ceiling = (branches / 2).max(1);
            group.room.branches = group.room.branches.min(group.ceiling);
        }
    }

    fn group_of(&mut self, set: &[u64]) -> Option<&mut Group> {
        let order = self.orders.get(set.first()?)?;
        let (model, size) = (order.model.clone(), order.size);
        Some(self.group(&model, size))
    }

    fn slice(&mut self, id: u64) {
        let slice = self.options.slice.min(Duration::from_secs(2));
        let Some(order) = self.orders.get_mut(&id) else { return };
        let (State::Slices(unit), Some(held)) = (&mut order.state, self.models.get(&order.model)) else {
            return;
        };
        let start = (self.now)();
        let result = contain(|| held.engine.exclusive(unit.as_mut(), slice));
        let now = (self.now)();
        order.account.device += now.saturating_sub(start);
        self.health.beat(Activity::Computing, now);
        match result {
            Ok(UnitProgress::More) => self.failures = 0,
            Ok(UnitProgress::Done) => self.end(id, End::Finished(Vec::new())),
            Err(error) => self.fail(id, error),
        }
    }
}

/// A panic inside the engine is an error like others: the engine leaves its rows as they were.
fn contain<T>(call: impl FnOnce() -> Result<T, EngineError>) -> Result<T, EngineError> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
        Err(EngineError {
            kind: EngineErrorKind::Internal,
            code: "engine_panicked",
            message: format!("the engine panicked: {}", text.chars().take(200).collect::<String>()),
            rows: Vec::new(),
            source: None,
        })
    })
}
