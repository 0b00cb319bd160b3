//! The models of a folder as a worker's engines.

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::thread::available_parallelism;

use retouch_ports::engine_source::{EngineSource, LoadedEngine, ModelFacts, Room};
use retouch_ports::step_engine::{EngineError, EngineErrorKind};

use crate::{Device, Engine, EngineOptions, Family, Kind, LoadOptions, Model};

/// Rows of a forward on a GPU at most: what the memory and the time of a step allow of them is found out.
const GPU_ROWS: usize = 64;
/// Branches of a row at most.
const BRANCHES: usize = 3;

/// The models in the folders of one folder.
pub struct ModelFolder {
    root: PathBuf,
    options: LoadOptions,
}

impl ModelFolder {
    /// Models of this folder, on this device, in this type.
    pub fn new(root: PathBuf, device: Device, kind: Kind) -> Self {
        Self { root, options: LoadOptions { device, kind, variant: None } }
    }

    /// The folder of a model by name: one segment, which leads nowhere else. `None` if there is none.
    fn known(&self, model: &str) -> Option<PathBuf> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
        let named = (1..=128).contains(&model.len()) && !model.starts_with('.') && model.bytes().all(plain);
        let folder = self.root.join(model);
        (named && folder.join("model_index.json").is_file()).then_some(folder)
    }

    fn folder(&self, model: &str) -> Result<PathBuf, EngineError> {
        if let Some(folder) = self.known(model) {
            return Ok(folder);
        }
        let shown: String = model.chars().take(100).collect();
        Err(EngineError {
            kind: EngineErrorKind::Invalid,
            code: "model_unknown",
            message: format!("this worker has no model `{shown}`: name one that it holds"),
            rows: Vec::new(),
            source: None,
        })
    }
}

impl EngineSource for ModelFolder {
    fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.root).into_iter().flatten().filter_map(Result::ok);
        let mut names: Vec<String> = entries
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter(|name| self.known(name).is_some())
            .collect();
        names.sort();
        names
    }

    fn bytes(&self, model: &str) -> Result<u64, EngineError> {
        Ok(weights(&self.folder(model)?))
    }

    fn load(&mut self, model: &str) -> Result<LoadedEngine, EngineError> {
        let folder = self.folder(model)?;
        let model = Rc::new(Model::load(&folder, &self.options)?);
        let side = |pixels: i64| u32::try_from(pixels).unwrap_or(0);
        let (width, height) = model.native_size();
        let facts = ModelFacts {
            hash: model.fingerprint()?,
            factor: side(model.vae().config().factor()),
            native: (side(width), side(height)),
            edits: model.family() == Family::InstructPix2Pix,
            spatial: model.spatial().is_some(),
            sampler: model.sampler_name()?,
        };
        let rows = match self.options.device {
            Device::Cpu => available_parallelism().map_or(1, usize::from),
            _ => GPU_ROWS,
        };
        let room = Room { rows, branches: rows * BRANCHES };
        let engine = Box::new(Engine::new(model, EngineOptions::default()));
        Ok(LoadedEngine { engine, room, facts })
    }
}

/// The bytes of a model's weight files: what it takes of the device, about.
fn weights(folder: &Path) -> u64 {
    let files = |folder: &Path| {
        let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
        let weights = entries.filter(|entry| entry.file_name().to_string_lossy().ends_with(".safetensors"));
        weights.filter_map(|entry| entry.metadata().ok()).map(|metadata| metadata.len()).sum::<u64>()
    };
    ["unet", "vae", "text_encoder", "spatial"].iter().map(|part| files(&folder.join(part))).sum()
}
