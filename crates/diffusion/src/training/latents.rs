//! Pairs encoded once: what denoisers learn from. A GPU would starve on live rendering.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use super::error::{Result, TrainingError};
use super::examples::{Ahead, Example, Examples, Picture};
use super::state::write_atomically;
use crate::error::contain;
use crate::floats::half_bytes;
use crate::models::vae::{Posterior, Vae};

/// Pairs in a file.
const SHARD: u64 = 1024;
/// Images that are encoded together.
const BATCH: usize = 16;
/// Key of the texts in a file's metadata.
const TEXTS: &str = "retouch.texts";
/// Names of a file's tensors, each `[n, C, h, w]` float16.
const TENSORS: [&str; 4] = ["before", "before_log_variance", "after", "after_log_variance"];

/// The texts of a pair.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Texts {
    pub(super) instruction: String,
    pub(super) before: String,
    pub(super) after: String,
}

/// Encoded pairs in memory, on the training's device.
pub(super) struct Latents {
    /// In the order of [`TENSORS`], `[n, C, h, w]` float16, unscaled.
    tensors: [Tensor; 4],
    texts: Vec<Texts>,
}

/// Which side of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Before,
    After,
}

impl Latents {
    /// Encodes the first `pairs` examples into files of `folder`, going on after those that are there; `report` gets the
    /// number of pairs done, and says whether to go on.
    pub(super) fn write(
        folder: &Path,
        vae: &Vae,
        examples: &Arc<dyn Examples>,
        pairs: u64,
        threads: usize,
        report: &mut dyn FnMut(u64) -> Result<bool>,
    ) -> Result<()> {
        std::fs::create_dir_all(folder).map_err(|e| TrainingError::write(folder, e))?;
        for start in (0..pairs).step_by(SHARD as usize) {
            let path = shard(folder, start / SHARD);
            let end = (start + SHARD).min(pairs);
            if !path.is_file() {
                let mut ahead = Ahead::new(examples, start..end, threads);
                let mut writer = ShardWriter::default();
                while let Some(example) = ahead.next()? {
                    writer.add(example, vae)?;
                }
                writer.finish(&path, vae)?;
            }
            if !report(end)? {
                break;
            }
        }
        Ok(())
    }

    /// Reads the files that hold the first `pairs` pairs.
    pub(super) fn read(folder: &Path, pairs: u64, device: Device) -> Result<Self> {
        let mut parts: [Vec<Tensor>; 4] = Default::default();
        let mut texts = Vec::new();
        for number in 0..pairs.div_ceil(SHARD) {
            let path = shard(folder, number);
            let (tensors, own) = read_shard(&path)?;
            parts.iter_mut().zip(tensors).for_each(|(all, tensor)| all.push(tensor));
            texts.extend(own);
        }
        let tensors = parts.map(|all| Tensor::cat(&all, 0).to_device(device));
        Ok(Self { tensors, texts })
    }

    pub(super) fn len(&self) -> usize {
        self.texts.len()
    }

    pub(super) fn texts(&self, row: usize) -> &Texts {
        &self.texts[row]
    }

    /// The posterior of `side` for `rows [b]`, float32.
    pub(super) fn posterior(&self, side: Side, rows: &Tensor) -> Posterior {
        let first = if side == Side::Before { 0 } else { 2 };
        let pick = |i: usize| self.tensors[i].index_select(0, rows).to_kind(Kind::Float);
        Posterior { mean: pick(first), log_variance: pick(first + 1) }
    }

    /// The spread of all latents: the VAE's scaling factor is its inverse.
    pub(super) fn deviation(&self) -> f64 {
        let means = Tensor::cat(&[&self.tensors[0], &self.tensors[2]], 0);
        means.to_kind(Kind::Float).std(true).double_value(&[])
    }
}

fn shard(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("pairs-{number:05}.safetensors"))
}

#[derive(Default)]
struct ShardWriter {
    waiting: Vec<Example>,
    parts: [Vec<Tensor>; 4],
    texts: Vec<Texts>,
}

impl ShardWriter {
    fn add(&mut self, example: Example, vae: &Vae) -> Result<()> {
        self.waiting.push(example);
        if 2 * self.waiting.len() >= BATCH { self.encode(vae) } else { Ok(()) }
    }

    fn encode(&mut self, vae: &Vae) -> Result<()> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let _no_grad = tch::no_grad_guard();
        let n = self.waiting.len() as i64;
        let pictures = self.waiting.iter().map(|e| &e.before).chain(self.waiting.iter().map(|e| &e.after));
        let images = stack(pictures);
        let encoded = contain("encoding pairs", || {
            let posterior = vae.encode(&images);
            let half =
                |t: &Tensor, start: i64| t.narrow(0, start, n).to_kind(Kind::Half).to_device(Device::Cpu);
            let (mean, spread) = (&posterior.mean, &posterior.log_variance);
            Ok([half(mean, 0), half(spread, 0), half(mean, n), half(spread, n)])
        })?;
        self.parts.iter_mut().zip(encoded).for_each(|(all, tensor)| all.push(tensor));
        let texts = |e: Example| Texts {
            instruction: e.instruction,
            before: e.caption_before,
            after: e.caption_after,
        };
        self.texts.extend(self.waiting.drain(..).map(texts));
        Ok(())
    }

    fn finish(mut self, path: &Path, vae: &Vae) -> Result<()> {
        self.encode(vae)?;
        let halves = |parts: Vec<Tensor>| half_bytes(&Tensor::cat(&parts, 0));
        let tensors: Vec<_> = TENSORS.into_iter().zip(self.parts.map(halves)).collect();
        let views = tensors.iter().map(|(name, (shape, bytes))| {
            (*name, TensorView::new(Dtype::F16, shape.clone(), bytes).expect("float16 bytes of that shape"))
        });
        let texts = serde_json::to_string(&self.texts).expect("texts");
        let notes = [(TEXTS.to_owned(), texts)].into();
        let bytes = safetensors::serialize(views, Some(notes)).expect("consistent tensors");
        write_atomically(path, &bytes)
    }
}

fn read_shard(path: &Path) -> Result<([Tensor; 4], Vec<Texts>)> {
    let bad = |reason: String| TrainingError::State { path: path.to_owned(), reason };
    let data = std::fs::read(path).map_err(|e| TrainingError::read(path, e))?;
    let (_, metadata) = SafeTensors::read_metadata(&data).map_err(|e| bad(e.to_string()))?;
    let texts = metadata
        .metadata()
        .as_ref()
        .and_then(|m| m.get(TEXTS))
        .ok_or_else(|| bad("it has no texts".into()))?;
    let texts: Vec<Texts> = serde_json::from_str(texts).map_err(|e| bad(e.to_string()))?;
    let file = SafeTensors::deserialize(&data).map_err(|e| bad(e.to_string()))?;
    let read = |name: &str| {
        let view = file.tensor(name).map_err(|e| bad(e.to_string()))?;
        let shape: Vec<i64> = view.shape().iter().map(|&d| d as i64).collect();
        if view.dtype() != Dtype::F16 || shape.len() != 4 || shape[0] != texts.len() as i64 {
            return Err(bad(format!("tensor `{name}` is not float16 with a row for each of the texts")));
        }
        Tensor::f_from_data_size(view.data(), &shape, Kind::Half).map_err(|e| bad(e.to_string()))
    };
    let [a, b, c, d] = TENSORS.map(read);
    Ok(([a?, b?, c?, d?], texts))
}

/// `[b, 3, size, size]` in −1..1 of pictures of one size.
pub(super) fn stack<'a>(pictures: impl Iterator<Item = &'a Picture>) -> Tensor {
    let one = |picture: &Picture| {
        let side = i64::from(picture.size);
        Tensor::from_slice(&picture.rgb).view([side, side, 3])
    };
    let all = Tensor::stack(&pictures.map(one).collect::<Vec<_>>(), 0);
    all.permute([0, 3, 1, 2]).to_kind(Kind::Float) / 127.5 - 1.0
}
