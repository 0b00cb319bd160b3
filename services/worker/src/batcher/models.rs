//! The models that the device holds.

use std::collections::BTreeMap;
use std::time::Duration;

use retouch_ports::engine_source::{EngineSource, LoadedEngine, ModelFacts, Room};
use retouch_ports::step_engine::{EngineError, StepEngine};

/// A loaded model with its account.
pub(super) struct Held {
    pub(super) engine: Box<dyn StepEngine>,
    pub(super) room: Room,
    pub(super) facts: ModelFacts,
    bytes: u64,
    used: u64,
}

/// What became of a wish for a model.
pub(super) enum Loading {
    /// It is there; the time that it took now.
    Ready(Duration),
    /// Models that are in use fill the memory.
    Full,
    /// It cannot be loaded.
    Failed(EngineError),
}

/// The loaded models within a budget of memory; the least recently used go first.
pub(super) struct Models {
    source: Box<dyn EngineSource>,
    budget: u64,
    held: BTreeMap<String, Held>,
    uses: u64,
    /// The names of the models that there were when one was looked for last.
    known: Vec<String>,
}

impl Models {
    pub(super) fn new(source: Box<dyn EngineSource>, budget: u64) -> Self {
        let known = source.names();
        Self { source, budget, held: BTreeMap::new(), uses: 0, known }
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.held.keys().cloned().collect()
    }

    pub(super) fn known(&self) -> Vec<String> {
        self.known.clone()
    }

    pub(super) fn has(&self, model: &str) -> bool {
        self.held.contains_key(model)
    }

    pub(super) fn get(&mut self, model: &str) -> Option<&mut Held> {
        self.held.get_mut(model)
    }

    pub(super) fn all(&mut self) -> impl Iterator<Item = (&String, &mut Held)> {
        self.held.iter_mut()
    }

    /// Makes the model ready. `in_use` tells which of the held ones must stay; a model that is larger than the budget is
    /// loaded where it is alone.
    pub(super) fn ready(
        &mut self,
        model: &str,
        in_use: impl Fn(&str) -> bool,
        now: &dyn Fn() -> Duration,
    ) -> Loading {
        self.uses += 1;
        if let Some(held) = self.held.get_mut(model) {
            held.used = self.uses;
            return Loading::Ready(Duration::ZERO);
        }
        self.known = self.source.names();
        let bytes = match self.source.bytes(model) {
            Ok(bytes) => bytes,
            Err(error) => return Loading::Failed(error),
        };
        while !self.held.is_empty() && self.total().saturating_add(bytes) > self.budget {
            let idle = self.held.iter().filter(|(name, _)| !in_use(name));
            let Some((oldest, _)) = idle.min_by_key(|(_, held)| held.used) else { return Loading::Full };
            let oldest = oldest.clone();
            self.held.remove(&oldest);
            tracing::info!(model = oldest, "model unloaded");
        }
        let start = now();
        match self.source.load(model) {
            Ok(LoadedEngine { engine, room, facts }) => {
                let took = now().saturating_sub(start);
                tracing::info!(model, seconds = took.as_secs_f64(), "model loaded");
                self.held.insert(model.to_owned(), Held { engine, room, facts, bytes, used: self.uses });
                Loading::Ready(took)
            }
            Err(error) => Loading::Failed(error),
        }
    }

    fn total(&self) -> u64 {
        self.held.values().map(|held| held.bytes).sum()
    }
}
