//! The finished parts of a training: a folder each, with `config.json` and float32 weights, as a model has them.

use std::path::PathBuf;

use serde_json::{Map, Value};
use tch::Tensor;

use super::Training;
use crate::floats::bytes;
use crate::training::error::{Result, TrainingError};
use crate::training::state::{write_atomically, write_safetensors};

impl Training {
    /// Writes the configuration of part `name` and gives its path, for the strict reader of that kind of network.
    pub(super) fn write_config(&self, name: &str, config: &Map<String, Value>) -> Result<PathBuf> {
        let folder = self.layout.part(name);
        std::fs::create_dir_all(&folder).map_err(|e| TrainingError::write(&folder, e))?;
        let path = folder.join("config.json");
        write_atomically(&path, format!("{:#}\n", Value::Object(config.clone())).as_bytes())?;
        Ok(path)
    }

    /// Writes the weights of part `name` as the checkpoint `stem`.
    pub(super) fn write_weights(&self, name: &str, stem: &str, tensors: &[(String, Tensor)]) -> Result<()> {
        let tensors: Vec<_> = tensors.iter().map(|(name, tensor)| (name, bytes(tensor))).collect();
        let path = self.layout.part(name).join(format!("{stem}.safetensors"));
        // As the reference library marks its files.
        write_safetensors(&path, &tensors, &[("format", "pt".to_owned())])
    }
}
