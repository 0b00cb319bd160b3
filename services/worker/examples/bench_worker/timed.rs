//! Engines that say how long they were busy.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use retouch_ports::engine_source::{EngineSource, LoadedEngine};
use retouch_ports::step_engine::{
    Capacity, EngineError, Gang, Output, RowId, RowStatus, StepEngine, UnitProgress,
};

/// Time in calls that compute.
#[derive(Debug, Default)]
pub struct Busy(AtomicU64);

impl Busy {
    /// Since the last [`Busy::reset`].
    pub fn total(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Relaxed))
    }

    /// Begins again at zero.
    pub fn reset(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    fn of<T>(&self, work: impl FnOnce() -> T) -> T {
        let begun = Instant::now();
        let done = work();
        self.0.fetch_add(begun.elapsed().as_nanos() as u64, Ordering::Relaxed);
        done
    }
}

/// Gives [`Timed`] engines.
pub struct TimedSource<S> {
    source: S,
    busy: Arc<Busy>,
}

impl<S> TimedSource<S> {
    /// Engines of `source`, their time on `busy`.
    pub fn new(source: S, busy: Arc<Busy>) -> Self {
        Self { source, busy }
    }
}

impl<S: EngineSource> EngineSource for TimedSource<S> {
    fn names(&self) -> Vec<String> {
        self.source.names()
    }

    fn bytes(&self, model: &str) -> Result<u64, EngineError> {
        self.source.bytes(model)
    }

    fn load(&mut self, model: &str) -> Result<LoadedEngine, EngineError> {
        let loaded = self.source.load(model)?;
        let engine = Box::new(Timed { engine: loaded.engine, busy: self.busy.clone() });
        Ok(LoadedEngine { engine, ..loaded })
    }
}

struct Timed {
    engine: Box<dyn StepEngine>,
    busy: Arc<Busy>,
}

impl StepEngine for Timed {
    fn capacity(&self) -> Capacity {
        self.engine.capacity()
    }

    fn admit(&mut self, gang: Gang) -> Result<Vec<RowId>, EngineError> {
        self.engine.admit(gang)
    }

    fn rows(&self) -> Vec<RowStatus> {
        self.engine.rows()
    }

    fn encode(&mut self, rows: &[RowId]) -> Result<(), EngineError> {
        self.busy.of(|| self.engine.encode(rows))
    }

    fn step(&mut self, rows: &[RowId]) -> Result<(), EngineError> {
        self.busy.of(|| self.engine.step(rows))
    }

    fn decode(&mut self, rows: &[RowId]) -> Result<(), EngineError> {
        self.busy.of(|| self.engine.decode(rows))
    }

    fn take(&mut self, row: RowId) -> Result<Output, EngineError> {
        self.engine.take(row)
    }

    fn export(&self, row: RowId) -> Result<Vec<u8>, EngineError> {
        self.engine.export(row)
    }

    fn cancel(&mut self, row: RowId) -> Result<Vec<RowId>, EngineError> {
        self.engine.cancel(row)
    }

    fn exclusive(
        &mut self,
        unit: &mut dyn FnMut(Duration) -> UnitProgress,
        slice: Duration,
    ) -> Result<UnitProgress, EngineError> {
        self.engine.exclusive(unit, slice)
    }
}
