//! A deterministic engine whose "image" is a number that every forward changes, and whose time a test owns.
//!
//! A row's prompt is its label and says how it behaves: `nan…`, `error…`, `panic…` make every forward fail that they are
//! in; the first says which row it was. `broken…` cannot even be encoded.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use retouch_ports::engine_source::{EngineSource, LoadedEngine, ModelFacts, Room};
use retouch_ports::step_engine::*;
use retouch_worker::batcher::{Batcher, Options};

/// The time of a test.
#[derive(Clone, Default)]
pub struct Clock(Arc<Mutex<Duration>>);

impl Clock {
    pub fn advance(&self, by: Duration) {
        *self.0.lock().expect("no panic while locked") += by;
    }

    pub fn now(&self) -> Duration {
        *self.0.lock().expect("no panic while locked")
    }
}

/// The test's side of a gate: each forward waits in it.
pub struct Gate {
    entered: Receiver<Vec<String>>,
    go: Sender<()>,
}

impl Gate {
    /// Waits for the next forward; the labels of its rows.
    pub fn entered(&self) -> Vec<String> {
        self.entered.recv().expect("another forward")
    }

    /// Lets it go on.
    pub fn go(&self) {
        self.go.send(()).expect("an engine");
    }

    /// Lets it and all that follow go on.
    pub fn open(self) {}
}

/// The engine's side of a gate.
type Wait = (Sender<Vec<String>>, Receiver<()>);

/// What the engines of a test share.
#[derive(Clone, Default)]
pub struct World {
    pub clock: Clock,
    /// The rows of each forward that succeeded.
    pub forwards: Arc<Mutex<Vec<Vec<String>>>>,
    /// Models, in the order in which they were loaded.
    pub loads: Arc<Mutex<Vec<String>>>,
    /// Branches that fit the memory.
    pub fits: Option<usize>,
    /// Rows that an engine takes.
    pub capacity: Option<usize>,
    /// Branches that a forward may hold.
    pub branches: Option<usize>,
    pub gate: Option<Arc<Mutex<Wait>>>,
}

impl World {
    pub fn gated() -> (Self, Gate) {
        let ((enter, entered), (go, wait)) = (channel(), channel());
        let gate = Some(Arc::new(Mutex::new((enter, wait))));
        (Self { gate, ..Self::default() }, Gate { entered, go })
    }

    pub fn start(&self, options: Options) -> Batcher {
        let (world, clock) = (self.clone(), self.clock.clone());
        let now = Arc::new(move || clock.now());
        Batcher::start(options, now, move || Box::new(world)).expect("a thread").0
    }

    pub fn forwards(&self) -> Vec<Vec<String>> {
        self.forwards.lock().expect("no panic while locked").clone()
    }
}

impl EngineSource for World {
    fn names(&self) -> Vec<String> {
        vec!["large".to_owned(), "small".to_owned()]
    }

    fn bytes(&self, model: &str) -> Result<u64, EngineError> {
        match model {
            "absent" => Err(error(EngineErrorKind::Invalid, "model_unknown", Vec::new())),
            _ => Ok(10),
        }
    }

    fn load(&mut self, model: &str) -> Result<LoadedEngine, EngineError> {
        self.loads.lock().expect("no panic while locked").push(model.to_owned());
        self.clock.advance(Duration::from_secs(3));
        let facts = ModelFacts {
            hash: format!("hash of {model}"),
            factor: 8,
            native: (64, 64),
            edits: true,
            spatial: false,
            sampler: "fake".to_owned(),
        };
        let engine = FakeEngine { world: self.clone(), rows: BTreeMap::new(), next: 0 };
        let room = Room { rows: 32, branches: self.branches.unwrap_or(96) };
        Ok(LoadedEngine { engine: Box::new(engine), room, facts })
    }
}

pub struct FakeEngine {
    world: World,
    rows: BTreeMap<RowId, Row>,
    next: u64,
}

struct Row {
    request: RowRequest,
    gang: u64,
    stage: Stage,
    forward: usize,
    value: u64,
}

/// A request with this label, seed and number of steps.
pub fn request(label: &str, seed: u64, steps: usize) -> RowRequest {
    RowRequest {
        task: Task::Generate,
        prompt: label.to_owned(),
        negative: String::new(),
        width: 64,
        height: 64,
        steps,
        sampler: None,
        sigma_interp: None,
        karras: None,
        guidance_text: 7.5,
        guidance_image: 1.5,
        guidance: Guidance::Fixed,
        intents: None,
        spatial: true,
        source_box: None,
        clip_skip: None,
        seed,
        noise: None,
    }
}

fn advance(value: u64, forward: usize) -> u64 {
    (value ^ forward as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(17)
}

/// What a row's "image" is in the end.
pub fn image_of(request: &RowRequest) -> Vec<f32> {
    let value = (0..request.steps).fold(request.seed, advance);
    vec![(value >> 40) as f32]
}

fn error(kind: EngineErrorKind, code: &'static str, rows: Vec<RowId>) -> EngineError {
    EngineError { kind, code, message: code.to_owned(), rows, source: None }
}

impl StepEngine for FakeEngine {
    fn capacity(&self) -> Capacity {
        Capacity { rows: self.world.capacity.unwrap_or(64), used: self.rows.len() }
    }

    fn admit(&mut self, gang: Gang) -> Result<Vec<RowId>, EngineError> {
        let group = self.next;
        let mut ids = Vec::new();
        for AdmittedRow { request, resume } in gang.rows {
            let state = resume.map(|bytes| {
                let number =
                    |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
                (number(0) as usize, number(8))
            });
            let (forward, value) = state.unwrap_or((0, request.seed));
            let stage = if state.is_some() { Stage::Denoising } else { Stage::Admitted };
            ids.push(RowId(self.next));
            self.rows.insert(RowId(self.next), Row { request, gang: group, stage, forward, value });
            self.next += 1;
        }
        Ok(ids)
    }

    fn rows(&self) -> Vec<RowStatus> {
        let gang =
            |gang: u64| self.rows.iter().filter(|(_, row)| row.gang == gang).map(|(id, _)| *id).collect();
        let status = |(id, row): (&RowId, &Row)| RowStatus {
            id: *id,
            gang: gang(row.gang),
            stage: row.stage,
            forward: row.forward,
            forwards: row.request.steps,
            branches: if row.request.guidance_text > 1.0 { 3 } else { 1 },
            group: (row.request.width, row.request.height),
        };
        self.rows.iter().map(status).collect()
    }

    fn encode(&mut self, rows: &[RowId]) -> Result<(), EngineError> {
        for id in rows {
            let row = self.rows.get_mut(id).expect("a row of this engine");
            assert_eq!(row.stage, Stage::Admitted);
            if row.request.prompt.starts_with("broken") {
                return Err(error(EngineErrorKind::Internal, "torch", vec![*id]));
            }
            row.stage = Stage::Denoising;
            self.world.clock.advance(Duration::from_millis(2));
        }
        Ok(())
    }

    fn step(&mut self, rows: &[RowId]) -> Result<(), EngineError> {
        let labels: Vec<String> = rows.iter().map(|id| self.rows[id].request.prompt.clone()).collect();
        if let Some(gate) = &self.world.gate {
            let gate = gate.lock().expect("no panic while locked");
            if gate.0.send(labels.clone()).is_ok() {
                // Open for good, if the test has left.
                let _ = gate.1.recv();
            }
        }
        let statuses = self.rows();
        let of = |id: &RowId| statuses.iter().find(|status| status.id == *id).expect("a row of this engine");
        for id in rows {
            assert_eq!(of(id).stage, Stage::Denoising);
            let unfinished = |mate: &&RowId| of(mate).stage == Stage::Denoising;
            assert!(of(id).gang.iter().filter(unfinished).all(|mate| rows.contains(mate)), "whole gangs");
            assert_eq!(of(id).group, of(&rows[0]).group, "one group");
        }
        let branches: usize = rows.iter().map(|id| of(id).branches).sum();
        self.world.clock.advance(Duration::from_millis(10 * branches as u64));
        if self.world.fits.is_some_and(|fits| branches > fits) {
            return Err(error(EngineErrorKind::OutOfMemory, "out_of_memory", Vec::new()));
        }
        for (id, label) in rows.iter().zip(&labels) {
            if label.starts_with("nan") {
                return Err(error(EngineErrorKind::NonFinite, "non_finite", vec![*id]));
            }
            if label.starts_with("error") {
                return Err(error(EngineErrorKind::Internal, "torch", Vec::new()));
            }
            assert!(!label.starts_with("panic"), "{label}");
        }
        for id in rows {
            let row = self.rows.get_mut(id).expect("a row of this engine");
            row.value = advance(row.value, row.forward);
            row.forward += 1;
            if row.forward == row.request.steps {
                row.stage = Stage::Denoised;
            }
        }
        self.world.forwards.lock().expect("no panic while locked").push(labels);
        Ok(())
    }

    fn decode(&mut self, rows: &[RowId]) -> Result<(), EngineError> {
        for id in rows {
            let row = self.rows.get_mut(id).expect("a row of this engine");
            assert_eq!(row.stage, Stage::Denoised);
            row.stage = Stage::Decoded;
            self.world.clock.advance(Duration::from_millis(4));
        }
        Ok(())
    }

    fn take(&mut self, row: RowId) -> Result<Output, EngineError> {
        let row = self.rows.remove(&row).expect("a row of this engine");
        assert_eq!(row.stage, Stage::Decoded);
        Ok(Output {
            image: vec![(row.value >> 40) as f32],
            width: row.request.width,
            height: row.request.height,
            latents: Vec::new(),
            latent_shape: [0; 3],
            image_latents: Vec::new(),
            text_embeds: Vec::new(),
            text_shape: [0; 2],
            evaluations: row.forward,
            truncated: None,
        })
    }

    fn export(&self, row: RowId) -> Result<Vec<u8>, EngineError> {
        let row = &self.rows[&row];
        Ok([row.forward as u64, row.value].iter().flat_map(|number| number.to_le_bytes()).collect())
    }

    fn cancel(&mut self, row: RowId) -> Result<Vec<RowId>, EngineError> {
        let unknown = || error(EngineErrorKind::Unavailable, "row_unknown", vec![row]);
        let gang = self.rows.get(&row).ok_or_else(unknown)?.gang;
        let gone: Vec<RowId> =
            self.rows.iter().filter(|(_, row)| row.gang == gang).map(|(id, _)| *id).collect();
        self.rows.retain(|_, row| row.gang != gang);
        Ok(gone)
    }

    fn exclusive(
        &mut self,
        unit: &mut dyn FnMut(Duration) -> UnitProgress,
        slice: Duration,
    ) -> Result<UnitProgress, EngineError> {
        Ok(unit(slice))
    }
}
