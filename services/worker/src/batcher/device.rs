//! The device thread: who comes in, who goes out. What is done on the device is in `serve.rs`.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use retouch_domain::Band;
use retouch_ports::engine_source::{EngineSource, ModelFacts};
use retouch_ports::step_engine::{Gang, RowId, RowStatus, Stage};
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::{mpsc, oneshot};

use super::groups::{Group, GroupKey};
use super::health::{Activity, Health};
use super::models::{Loading, Models};
use super::order::{Account, Caller, End, Order, Progress, Served, Unit as Slices};
use super::policy::Policy;
use super::{Now, Options};

/// Rows of an engine that no band but each of the others may take: the largest gang.
const KEPT_ROWS: usize = 4;

/// What comes in.
pub(super) enum Message {
    /// Rows to denoise.
    Order(Order, Caller),
    /// Slices to give.
    Exclusive { model: String, band: Band, unit: Slices, caller: Caller },
    /// A model to have.
    Model { model: String, band: Band, reply: oneshot::Sender<ModelFacts>, caller: Caller },
}

/// How far an order is.
pub(super) enum State {
    /// Not in an engine.
    Waiting(Gang),
    /// In the engine of its model; ids in the order of the gang's rows.
    Resident(Vec<RowId>),
    /// Slices that wait for their model.
    Unadmitted(Slices),
    /// Wants a model and no more.
    Wish(oneshot::Sender<ModelFacts>),
    /// Gets slices.
    Slices(Slices),
}

/// An order that is not served yet.
pub(super) struct Active {
    pub(super) model: String,
    pub(super) band: Band,
    pub(super) alone: bool,
    /// Width and height of its rows; none for slices.
    pub(super) size: Option<(u32, u32)>,
    pub(super) rows: usize,
    pub(super) state: State,
    pub(super) caller: Caller,
    pub(super) account: Account,
    pub(super) arrived: Duration,
    pub(super) encoded: Option<Duration>,
    pub(super) first: Option<Duration>,
}

/// Everything that the thread owns.
pub(super) struct Device {
    pub(super) options: Options,
    pub(super) now: Now,
    pub(super) health: Arc<Health>,
    pub(super) models: Models,
    pub(super) policy: Policy,
    pub(super) groups: BTreeMap<GroupKey, Group>,
    pub(super) orders: BTreeMap<u64, Active>,
    /// Orders that failed for no known reason since the device last did something.
    pub(super) failures: usize,
    inbox: mpsc::Receiver<Message>,
    next: u64,
    pub(super) next_group: u32,
    /// An order that waits for other orders to free memory or the device: nobody younger comes in before it.
    barrier: Option<u64>,
    closed: bool,
}

/// Orders that fail in a row, each for itself and for no reason of its own, until the device is taken to be at fault.
pub(super) const STICKY: usize = 5;

/// Runs the thread to its end; a panic ends it too, and is contained here.
pub(super) fn run(make: impl FnOnce() -> Device, now: &Now, health: &Health) {
    // All that it owned is gone with it; callers see their channels closed.
    let broken = catch_unwind(AssertUnwindSafe(|| make().work())).unwrap_or_else(|_| {
        tracing::error!("the device thread panicked");
        true
    });
    health.beat(Activity::Ended(broken), now());
}

impl Device {
    pub(super) fn new(
        options: Options,
        now: Now,
        source: Box<dyn EngineSource>,
        inbox: mpsc::Receiver<Message>,
        health: Arc<Health>,
    ) -> Self {
        Self {
            options,
            now,
            health,
            models: Models::new(source, options.model_bytes),
            policy: Policy::new(options.rules),
            groups: BTreeMap::new(),
            orders: BTreeMap::new(),
            failures: 0,
            inbox,
            next: 0,
            next_group: 0,
            barrier: None,
            closed: false,
        }
    }

    /// Serves until there is nobody left to serve; whether the device broke.
    fn work(&mut self) -> bool {
        self.publish();
        while self.receive() {
            self.leave();
            self.admit();
            self.publish();
            let units = self.units();
            if !units.is_empty() {
                self.turn(&units);
            }
            if self.failures >= STICKY {
                tracing::error!("nothing succeeds on the device any more");
                return true;
            }
        }
        false
    }

    /// Takes in what has come; waits where there is nothing else to do. False at the end.
    fn receive(&mut self) -> bool {
        while !self.closed && self.orders.len() < self.options.orders.max(1) {
            let message = if self.orders.is_empty() {
                self.publish();
                self.health.beat(Activity::Idle, (self.now)());
                self.inbox.blocking_recv().ok_or(TryRecvError::Disconnected)
            } else {
                self.inbox.try_recv()
            };
            match message {
                Ok(message) => self.accept(message),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => self.closed = true,
            }
        }
        self.health.beat(Activity::Computing, (self.now)());
        !(self.closed && self.orders.is_empty())
    }

    fn accept(&mut self, message: Message) {
        let active = match message {
            Message::Order(order, caller) => {
                let first = order.gang.rows.first();
                let size = first.map(|row| (row.request.width, row.request.height));
                let rows = order.gang.rows.len();
                let Order { model, band, alone, gang } = order;
                self.active(model, band, alone, size.map(|size| (size, rows)), State::Waiting(gang), caller)
            }
            Message::Exclusive { model, band, unit, caller } => {
                self.active(model, band, false, None, State::Unadmitted(unit), caller)
            }
            Message::Model { model, band, reply, caller } => {
                self.active(model, band, false, None, State::Wish(reply), caller)
            }
        };
        self.orders.insert(self.next, active);
        self.next += 1;
    }

    fn active(
        &self,
        model: String,
        band: Band,
        alone: bool,
        shape: Option<((u32, u32), usize)>,
        state: State,
        caller: Caller,
    ) -> Active {
        Active {
            model,
            band,
            alone,
            size: shape.map(|(size, _)| size),
            rows: shape.map_or(0, |(_, rows)| rows),
            state,
            caller,
            account: Account::default(),
            arrived: (self.now)(),
            encoded: None,
            first: None,
        }
    }

    /// Lets go of the orders that are canceled or handed over.
    fn leave(&mut self) {
        let gone: Vec<u64> =
            self.orders.iter().filter(|(_, o)| o.caller.gives_up()).map(|(id, _)| *id).collect();
        for id in gone {
            self.end(id, End::Canceled);
        }
        let leaving = self.orders.iter().filter(|(_, o)| o.caller.hands_over()).map(|(id, _)| *id);
        for id in leaving.collect::<Vec<_>>() {
            if let Some(end) = self.hand_over(id) {
                self.end(id, end);
            }
        }
    }

    /// The states of an order's rows; `None` where it is denoised and finishes soon, or has none.
    fn hand_over(&mut self, id: u64) -> Option<End> {
        let order = self.orders.get(&id)?;
        let rows = match &order.state {
            State::Waiting(gang) => {
                // What another worker did is not lost here.
                return Some(End::HandedOver(gang.rows.iter().map(|row| row.resume.clone()).collect()));
            }
            State::Unadmitted(_) | State::Slices(_) | State::Wish(_) => {
                return Some(End::HandedOver(Vec::new()));
            }
            State::Resident(rows) => rows.clone(),
        };
        let engine = &self.models.get(&order.model.clone())?.engine;
        let stages: BTreeMap<RowId, Stage> = engine.rows().iter().map(|row| (row.id, row.stage)).collect();
        if rows.iter().all(|row| matches!(stages.get(row), Some(Stage::Denoised | Stage::Decoded))) {
            return None;
        }
        let export = |row: &RowId| match stages.get(row) {
            None | Some(Stage::Admitted) => Ok(None),
            Some(_) => engine.export(*row).map(Some),
        };
        Some(match rows.iter().map(export).collect() {
            Ok(states) => End::HandedOver(states),
            Err(error) => End::Failed(error),
        })
    }

    /// Answers an order and forgets it.
    pub(super) fn end(&mut self, id: u64, end: End) {
        let Some(order) = self.orders.remove(&id) else { return };
        if let (State::Resident(rows), Some(held)) = (&order.state, self.models.get(&order.model)) {
            for row in rows {
                // Finished rows are gone already, and the first of a gang takes the others along.
                let _ = held.engine.cancel(*row);
            }
        }
        if self.barrier == Some(id) {
            self.barrier = None;
        }
        // Whoever waited for it may be gone: that is one of the reasons to end.
        let _ = order.caller.reply.send(Served { end, account: order.account });
    }

    /// Brings waiting orders into engines, the most urgent and oldest first.
    fn admit(&mut self) {
        let mut waiting: Vec<(Band, u64)> = self
            .orders
            .iter()
            .filter(|(_, order)| order.waits())
            .map(|(id, order)| (order.band, *id))
            .collect();
        waiting.sort_unstable();
        let alone = waiting.iter().map(|(_, id)| *id).filter(|id| self.orders[id].alone).min();
        self.barrier = self.barrier.into_iter().chain(alone).min();
        for (_, id) in waiting {
            let mut resident = self.orders.values().filter(|order| !order.waits());
            let Some(order) = self.orders.get(&id) else { continue };
            let free =
                if order.alone { resident.next().is_none() } else { resident.all(|order| !order.alone) };
            if free && self.barrier.is_none_or(|barrier| id <= barrier) {
                self.try_admit(id);
            }
        }
    }

    fn try_admit(&mut self, id: u64) {
        let Some(order) = self.orders.get(&id) else { return };
        let (model, band, rows) = (order.model.clone(), order.band, order.rows);
        match self.load(&model) {
            Loading::Ready(_) => {}
            Loading::Full => {
                self.barrier.get_or_insert(id);
                return;
            }
            Loading::Failed(error) => return self.end(id, End::Failed(error)),
        }
        let used: usize =
            self.orders.values().filter(|o| o.model == model && o.band == band).map(Active::in_engine).sum();
        let now = (self.now)();
        let Some(held) = self.models.get(&model) else { return };
        let capacity = held.engine.capacity();
        let share = capacity.rows.saturating_sub(KEPT_ROWS * (Band::ALL.len() - 1)).max(KEPT_ROWS);
        if rows > 0 && (used + rows > share || capacity.used + rows > capacity.rows) && capacity.used > 0 {
            return;
        }
        let Some(order) = self.orders.get_mut(&id) else { return };
        order.account.waited = now.saturating_sub(order.arrived);
        match std::mem::replace(&mut order.state, State::Resident(Vec::new())) {
            State::Waiting(gang) => match held.engine.admit(gang) {
                Ok(rows) => order.state = State::Resident(rows),
                Err(error) => return self.end(id, End::Failed(error)),
            },
            State::Unadmitted(unit) => order.state = State::Slices(unit),
            State::Wish(reply) => {
                // Who asked may be gone; the model is there all the same.
                let _ = reply.send(held.facts.clone());
                return self.end(id, End::Finished(Vec::new()));
            }
            state => order.state = state,
        }
        if self.barrier == Some(id) {
            self.barrier = None;
        }
    }

    /// Makes a model ready; who waited for it has the time on its account.
    fn load(&mut self, model: &str) -> Loading {
        if !self.models.has(model) {
            self.health.beat(Activity::Loading, (self.now)());
        }
        let orders = &self.orders;
        let in_use = |name: &str| orders.values().any(|order| order.model == name && !order.waits());
        let loading = self.models.ready(model, in_use, self.now.as_ref());
        if let Loading::Ready(took) = loading {
            for order in self.orders.values_mut() {
                if order.model == model && order.waits() {
                    order.account.load += took;
                }
            }
        }
        self.health.beat(Activity::Computing, (self.now)());
        loading
    }

    fn publish(&self) {
        let (all, waiting) = (self.orders.len(), self.orders.values().filter(|order| order.waits()).count());
        let (models, known) = (self.models.names(), self.models.known());
        self.health.update(|figures| {
            (figures.models, figures.known) = (models, known);
            (figures.waiting, figures.resident) = (waiting, all - waiting);
        });
    }

    /// Tells who watches how far these orders of one model are.
    pub(super) fn report(&mut self, ids: &[u64]) {
        let model = ids.first().and_then(|id| self.orders.get(id)).map(|order| order.model.clone());
        let Some(held) = model.and_then(|model| self.models.get(&model)) else { return };
        let statuses: BTreeMap<RowId, RowStatus> =
            held.engine.rows().into_iter().map(|row| (row.id, row)).collect();
        for order in ids.iter().filter_map(|id| self.orders.get(id)) {
            let State::Resident(rows) = &order.state else { continue };
            let of = rows.iter().filter_map(|row| statuses.get(row));
            let last = of.min_by_key(|row| (row.forward as u64 * 1000).checked_div(row.forwards as u64));
            if let Some(row) = last {
                order.caller.progress.send_replace(Progress { forward: row.forward, forwards: row.forwards });
            }
        }
    }
}

impl Active {
    /// Whether it is not on the device.
    fn waits(&self) -> bool {
        matches!(self.state, State::Waiting(_) | State::Unadmitted(_) | State::Wish(_))
    }

    /// The rows that it has in the engine.
    fn in_engine(&self) -> usize {
        if let State::Resident(rows) = &self.state { rows.len() } else { 0 }
    }
}
