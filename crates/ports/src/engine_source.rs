//! Where a worker's engines come from: its models, made ready on a device.

use crate::step_engine::{EngineError, StepEngine};

/// Where engines come from. Lives on the device thread, as what it makes does.
pub trait EngineSource {
    /// The names of the models that there are, in order.
    fn names(&self) -> Vec<String>;

    /// The device memory that the model is expected to take, in bytes.
    ///
    /// # Errors
    /// There is no such model.
    fn bytes(&self, model: &str) -> Result<u64, EngineError>;

    /// Loads a model; takes as long as it takes.
    fn load(&mut self, model: &str) -> Result<LoadedEngine, EngineError>;
}

/// A model that is ready.
pub struct LoadedEngine {
    /// Denoises with it.
    pub engine: Box<dyn StepEngine>,
    /// The most that a forward may hold; found out below it.
    pub room: Room,
    /// What callers have to know of it.
    pub facts: ModelFacts,
}

/// What requests for a model depend on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelFacts {
    /// The hash of its weights and configuration.
    pub hash: String,
    /// Image sides are multiples of this.
    pub factor: u32,
    /// Width and height that it was trained at, in pixels.
    pub native: (u32, u32),
    /// It edits images; else it makes them from words alone.
    pub edits: bool,
    /// It has a spatial layer.
    pub spatial: bool,
    /// The sampler that its configuration names.
    pub sampler: String,
}

/// How much fits into one forward of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Rows.
    pub rows: usize,
    /// Branches of all rows.
    pub branches: usize,
}
