//! A row's whole state as bytes: a safetensors file with a JSON note.

use std::collections::HashMap;

use retouch_ports::step_engine::{RowRequest, Task};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tch::Tensor;

use super::guidance::FeedbackBits;
use super::row::Row;
use crate::error::{Error, Result, shorten};
use crate::floats::bytes;
use crate::samplers::SamplerCounters;

/// Changes whenever an older export could not be continued to the same image.
const FORMAT: u32 = 2;
/// Key of the note in the file's metadata.
const NOTE: &str = "retouch.row";
/// Prefix of the sampler's tensors.
const SAMPLER: &str = "sampler.";
/// Largest export that is read.
const MAX_BYTES: usize = 1 << 30;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Note {
    format: u32,
    model: String,
    request: String,
    forward: usize,
    /// Normal tensors drawn from the seed: the initial latents and the sampler's. They are drawn again on admission.
    draws: usize,
    sampler: SamplerCounters,
    guidance: FeedbackBits,
}

/// Writes the state of an encoded row.
pub(super) fn write(row: &Row, fingerprint: &str) -> Result<Vec<u8>> {
    let encoded = row.encoded.as_ref().ok_or_else(|| Error::Export("the row is not encoded yet".into()))?;
    let (counters, history) = row.state.export()?;
    let note = Note {
        format: FORMAT,
        model: fingerprint.to_owned(),
        request: digest(&row.request),
        forward: row.forward,
        draws: 1 + row.noise.len(),
        sampler: counters,
        guidance: row.feedback.into(),
    };
    let mut tensors = vec![("latents".to_owned(), bytes(&row.latents))];
    if let Some(image) = &encoded.image_latents {
        tensors.push(("image_latents".to_owned(), bytes(image)));
    }
    tensors.extend(history.iter().map(|(name, tensor)| (format!("{SAMPLER}{name}"), bytes(tensor))));
    let views = tensors.iter().map(|(name, (shape, bytes))| {
        (name, TensorView::new(Dtype::F32, shape.clone(), bytes).expect("float32 bytes of that shape"))
    });
    let note = serde_json::to_string(&note).map_err(|e| Error::Export(e.to_string()))?;
    safetensors::serialize(views, Some(HashMap::from([(NOTE.to_owned(), note)])))
        .map_err(|e| Error::Export(e.to_string()))
}

/// Puts a new row where its export left off, but for its text; gives the image latents `[1, C, h, w]` float32 of an
/// edit. `None` when the export is of another model or format version: the row is as before, and restarts.
///
/// On an error, too, the row is as before.
pub(super) fn resume(data: &[u8], row: &mut Row, fingerprint: &str) -> Result<Option<Option<Tensor>>> {
    let bad = |reason: String| Error::Export(shorten(reason));
    if data.len() > MAX_BYTES {
        return Err(bad(format!("{} bytes are too many", data.len())));
    }
    let (_, metadata) = SafeTensors::read_metadata(data).map_err(|e| bad(e.to_string()))?;
    let note =
        metadata.metadata().as_ref().and_then(|m| m.get(NOTE)).ok_or_else(|| bad("it has no note".into()))?;
    let version: serde_json::Value = serde_json::from_str(note).map_err(|e| bad(e.to_string()))?;
    if version["format"] != FORMAT || version["model"] != fingerprint {
        return Ok(None);
    }
    let note: Note = serde_json::from_value(version).map_err(|e| bad(e.to_string()))?;
    if note.request != digest(&row.request) {
        return Err(bad("it belongs to another request".into()));
    }
    if note.forward != note.sampler.forward || note.sampler.first != 0 {
        let SamplerCounters { first, forward, .. } = note.sampler;
        let sampler = format!("the sampler's are {first} to {forward}");
        return Err(bad(format!("the row's forwards are 0 to {}, but {sampler}", note.forward)));
    }
    if note.draws != 1 + row.noise.len() {
        return Err(bad(format!("it drew noise {} times instead of {}", note.draws, 1 + row.noise.len())));
    }
    let file = SafeTensors::deserialize(data).map_err(|e| bad(e.to_string()))?;
    let shape = row.latents.size();
    let read = |name: &str| -> Result<Tensor> {
        let view = file.tensor(name).map_err(|e| bad(e.to_string()))?;
        let same = view.shape().iter().map(|&d| d as i64).eq(shape.iter().copied());
        if view.dtype() != Dtype::F32 || !same {
            return Err(bad(format!("tensor `{name}` is not float32 of the shape {shape:?}")));
        }
        let values: Vec<f32> =
            view.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        if values.iter().any(|v| !v.is_finite()) {
            return Err(bad(format!("tensor `{name}` is not finite")));
        }
        Ok(Tensor::from_slice(&values).view(shape.as_slice()).to_device(row.latents.device()))
    };
    let editing = matches!(row.request.task, Task::Edit { .. });
    let names: Vec<&str> = file.names().into_iter().filter_map(|n| n.strip_prefix(SAMPLER)).collect();
    let history = names.into_iter().map(|n| Ok((n.to_owned(), read(&format!("{SAMPLER}{n}"))?)));
    let history = history.collect::<Result<_>>()?;
    let image_latents = editing.then(|| read("image_latents")).transpose()?;
    let latents = read("latents")?;
    let feedback = note.guidance.read().ok_or_else(|| bad("its guidance state is out of range".into()))?;
    row.state = row.sampler.import(&note.sampler, history)?;
    row.latents = latents;
    row.feedback = feedback;
    row.forward = note.forward;
    Ok(Some(image_latents))
}

/// SHA-256 of everything in a request.
fn digest(request: &RowRequest) -> String {
    let mut hasher = Sha256::new();
    let mut values = |values: &[f32]| {
        hasher.update((values.len() as u64).to_le_bytes());
        for value in values {
            hasher.update(value.to_le_bytes());
        }
    };
    match &request.task {
        Task::Edit { image } => values(image),
        Task::Generate => values(&[]),
    }
    if let Some(noise) = &request.noise {
        values(&noise.latents);
        values(&noise.steps);
    }
    let small = RowRequest { task: Task::Generate, noise: None, ..request.clone() };
    hasher.update(format!("{small:?}"));
    hasher.finalize().iter().map(|b| format!("{b:02x}")).collect()
}
