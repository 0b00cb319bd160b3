//! The whole state of a training between two steps, in one file that is there whole or not at all.

use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::adamw::AdamW;
use super::error::{Result, TrainingError};
use super::flat::Flat;
use crate::floats::{Bytes, bytes};

/// Key of the note in the file's metadata.
const NOTE: &str = "retouch.training";
/// States that are kept, so that a damaged last one is no disaster.
const KEPT: usize = 2;

/// What a state holds beside its tensors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Note {
    /// Steps done.
    pub(super) step: u64,
    /// Steps that changed the weights.
    pub(super) updates: u64,
    /// Which tensor lies where in the buffers.
    pub(super) layout: String,
}

/// Writes the state after `step` steps into `folder` and removes what is older than the one before.
pub(super) fn save(folder: &Path, flat: &Flat, optimizer: &AdamW, step: u64) -> Result<PathBuf> {
    let path = folder.join(format!("state-{step:08}.safetensors"));
    let note = Note { step, updates: optimizer.updates, layout: flat.layout() };
    let tensors = [
        ("values", flat.values()),
        ("average", flat.average()),
        ("optimizer.mean", optimizer.mean.shallow_clone()),
        ("optimizer.square", optimizer.square.shallow_clone()),
    ];
    let tensors = tensors.map(|(name, tensor)| (name, bytes(&tensor)));
    let note = serde_json::to_string(&note).expect("numbers and text");
    write_safetensors(&path, &tensors, &[(NOTE, note)])?;
    for old in states(folder)?.into_iter().rev().skip(KEPT) {
        std::fs::remove_file(&old).map_err(|e| TrainingError::write(&old, e))?;
    }
    Ok(path)
}

/// Puts `flat` and `optimizer` where the newest usable state in `folder` left off; the number of steps done, 0 without a
/// state.
pub(super) fn resume(folder: &Path, flat: &mut Flat, optimizer: &mut AdamW) -> Result<u64> {
    let mut states = states(folder)?;
    loop {
        let Some(path) = states.pop() else { return Ok(0) };
        match read(&path, flat, optimizer) {
            Err(error @ TrainingError::State { .. }) if !states.is_empty() => {
                tracing::warn!(%error, "going on from the state before");
            }
            result => return result,
        }
    }
}

fn read(path: &Path, flat: &mut Flat, optimizer: &mut AdamW) -> Result<u64> {
    let bad = |reason: String| TrainingError::State { path: path.to_owned(), reason };
    let data = std::fs::read(path).map_err(|e| TrainingError::read(path, e))?;
    let (_, metadata) = SafeTensors::read_metadata(&data).map_err(|e| bad(e.to_string()))?;
    let note =
        metadata.metadata().as_ref().and_then(|m| m.get(NOTE)).ok_or_else(|| bad("it has no note".into()))?;
    let note: Note = serde_json::from_str(note).map_err(|e| bad(e.to_string()))?;
    if note.layout != flat.layout() {
        return Err(bad("its networks have other tensors than the recipe's".into()));
    }
    let file = SafeTensors::deserialize(&data).map_err(|e| bad(e.to_string()))?;
    let read = |name: &str| -> Result<Tensor> {
        let view = file.tensor(name).map_err(|e| bad(e.to_string()))?;
        if view.dtype() != Dtype::F32 || view.shape() != [flat.len() as usize] {
            return Err(bad(format!("tensor `{name}` is not float32 of the length {}", flat.len())));
        }
        let values: Vec<f32> =
            view.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        Ok(Tensor::from_slice(&values).to_device(flat.values().device()))
    };
    let [values, average, mean, square] =
        ["values", "average", "optimizer.mean", "optimizer.square"].map(read);
    flat.restore(&values?, &average?)?;
    (optimizer.mean, optimizer.square, optimizer.updates) = (mean?, square?, note.updates);
    Ok(note.step)
}

/// The states in `folder`, oldest first.
fn states(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).map_err(|e| TrainingError::read(folder, e))?;
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(|e| TrainingError::read(folder, e))?.path();
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        if name.starts_with("state-") && name.ends_with(".safetensors") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Writes named tensors (shape and little-endian float32) whole or not at all.
pub(super) fn write_safetensors(
    path: &Path,
    tensors: &[(impl AsRef<str>, Bytes)],
    notes: &[(&str, String)],
) -> Result<()> {
    let view = |shape: &[usize], bytes| {
        let dtype = Dtype::F32;
        TensorView::new(dtype, shape.to_vec(), bytes).expect("float32 bytes of that shape")
    };
    let views = tensors.iter().map(|(name, (shape, bytes))| (name.as_ref(), view(shape, bytes)));
    let notes: HashMap<_, _> = notes.iter().map(|(key, note)| ((*key).to_owned(), note.clone())).collect();
    let bytes = safetensors::serialize(views, Some(notes)).expect("consistent tensors");
    write_atomically(path, &bytes)
}

/// Writes a file whole or not at all: a process that is killed at any moment leaves the old one or the new one.
pub(super) fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    let partial = path.with_extension("partial");
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let write = || {
        let mut file = File::create(&partial)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&partial, path)?;
        File::open(folder)?.sync_all()
    };
    write().map_err(|e| TrainingError::write(path, e))
}
