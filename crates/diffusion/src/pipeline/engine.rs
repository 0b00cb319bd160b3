//! The step machine: [`StepEngine`] on LibTorch.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use retouch_ports::step_engine::{
    Capacity, EngineError, EngineErrorKind, Gang, GangControl, Output, RowId, RowRequest, RowStatus, Stage,
    StepEngine, Task, UnitProgress,
};
use tch::{Kind, Tensor};

use super::Model;
use super::export::{self, floats};
use super::guidance::{self, Branch, Branches};
use super::prompt::{Prompt, PromptCache};
use super::row::{Encoded, Row};
use crate::error::{Error, Result, contain};
use crate::models::unet::AttentionMap;
use crate::nn::dims4;

/// Most rows of a gang.
const MAX_GANG: usize = 4;

/// Settings of an engine.
#[derive(Debug, Clone, Copy)]
pub struct EngineOptions {
    /// Rows that fit.
    pub rows: usize,
    /// Images of more pixels are encoded and decoded in tiles.
    pub tile_above: u64,
    /// Gives back the memory of the text encoder and the VAE's encoder after each use. For a process that makes one
    /// image: what is used again has to be read again.
    pub low_memory: bool,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self { rows: 64, tile_above: 2048 * 2048, low_memory: false }
    }
}

/// Denoises rows with one model. Its thread owns the device.
pub struct Engine {
    model: Rc<Model>,
    options: EngineOptions,
    rows: BTreeMap<RowId, Row>,
    gangs: BTreeMap<u64, GangControl>,
    prompts: PromptCache,
    next: u64,
    fingerprint: OnceCell<String>,
}

/// A row's part of a forward.
struct Part {
    id: RowId,
    branches: Branches,
    /// Where its branches begin in the batch.
    start: i64,
}

impl Engine {
    /// An empty engine for `model`.
    pub fn new(model: Rc<Model>, options: EngineOptions) -> Self {
        Self {
            model,
            options,
            rows: BTreeMap::new(),
            gangs: BTreeMap::new(),
            prompts: PromptCache::default(),
            next: 0,
            fingerprint: OnceCell::new(),
        }
    }

    fn fingerprint(&self) -> Result<&str> {
        if self.fingerprint.get().is_none() {
            let computed = self.model.fingerprint()?;
            return Ok(self.fingerprint.get_or_init(|| computed));
        }
        Ok(self.fingerprint.get().map_or("", String::as_str))
    }

    fn row(&self, id: RowId) -> Result<&Row> {
        self.rows.get(&id).ok_or(Error::UnknownRow(id.0))
    }

    fn in_stage(&self, id: RowId, stage: Stage) -> Result<&Row> {
        let row = self.row(id)?;
        if row.stage() == stage {
            return Ok(row);
        }
        let expected = format!("{stage:?}");
        Err(Error::Parameter {
            name: "rows",
            value: format!("row {} in stage {:?}", id.0, row.stage()),
            expected,
        })
    }

    fn gang_of(&self, row: &Row) -> Vec<RowId> {
        self.rows.iter().filter(|(_, other)| other.gang == row.gang).map(|(id, _)| *id).collect()
    }

    fn try_admit(&mut self, gang: Gang) -> Result<Vec<RowId>> {
        let count = gang.rows.len();
        let size = gang.rows.first().map(|r| (r.request.width, r.request.height));
        let one_size = gang.rows.iter().all(|r| Some((r.request.width, r.request.height)) == size);
        if !(1..=MAX_GANG).contains(&count) || !one_size {
            let expected = format!("1 to {MAX_GANG} rows of one size");
            return Err(Error::Parameter { name: "gang", value: format!("{count} rows"), expected });
        }
        let gang_id = self.next;
        let mut rows = Vec::with_capacity(count);
        for admitted in gang.rows {
            let mut row = contain("drawing noise", || Row::new(&self.model, admitted.request, gang_id))?;
            if let Some(data) = admitted.resume {
                self.resume(&mut row, &data)?;
            }
            rows.push(row);
        }
        let ids: Vec<_> = (self.next..).take(count).map(RowId).collect();
        self.next += count as u64;
        self.gangs.insert(gang_id, gang.control);
        self.rows.extend(ids.iter().copied().zip(rows));
        Ok(ids)
    }

    /// Puts a new row where its export left off.
    fn resume(&mut self, row: &mut Row, data: &[u8]) -> Result<()> {
        let fingerprint = self.fingerprint()?.to_owned();
        let resumed = contain("reading an exported row", || export::read(data, row, &fingerprint))?;
        let Some(resumed) = resumed else {
            tracing::warn!("an exported row is of another model or format version: it restarts at step 0");
            return Ok(());
        };
        row.state = row.sampler.import(&resumed.counters, resumed.history)?;
        row.latents = resumed.latents;
        row.forward = resumed.forward;
        let image_latents = resumed.image_latents.map(|t| t.to_kind(self.model.kind()));
        row.encoded = Some(encode_text(&self.model, &mut self.prompts, &row.request, image_latents)?);
        Ok(())
    }

    /// Encodes one row at a time: what shares the call does not influence the result, and memory stays bounded.
    fn try_encode(&mut self, ids: &[RowId]) -> Result<()> {
        for &id in ids {
            let row = self.in_stage(id, Stage::Admitted)?;
            let image_latents = match &row.request.task {
                Task::Generate => None,
                Task::Edit { image } => {
                    let (w, h) = row.size();
                    Some(contain("encoding an image", || Ok(self.encode_image(image, w, h)))?)
                }
            };
            let row = self.rows.get_mut(&id).ok_or(Error::UnknownRow(id.0))?;
            row.encoded = Some(encode_text(&self.model, &mut self.prompts, &row.request, image_latents)?);
        }
        if self.options.low_memory {
            self.model.text_encoder().checkpoint().release_all();
            self.model.vae().checkpoint().release_all();
        }
        Ok(())
    }

    /// The mode of the image's posterior, `[1, C, h, w]`, unscaled, in the UNet's type.
    fn encode_image(&self, image: &[f32], width: u32, height: u32) -> Tensor {
        let image = Tensor::from_slice(image).view([1, 3, i64::from(height), i64::from(width)]);
        let vae = self.model.vae();
        let tiled = u64::from(width) * u64::from(height) > self.options.tile_above;
        let posterior = if tiled { vae.encode_tiled(&image) } else { vae.encode(&image) };
        posterior.mode().to_kind(self.model.kind())
    }

    /// Checks that `ids` may share a forward, and lays out their branches.
    fn plan(&self, ids: &[RowId]) -> Result<Vec<Part>> {
        let bad = |value: String, expected: &str| {
            Err(Error::Parameter { name: "rows", value, expected: expected.to_owned() })
        };
        let mut group = None;
        let mut parts = Vec::with_capacity(ids.len());
        let mut start = 0;
        for (i, &id) in ids.iter().enumerate() {
            let row = self.in_stage(id, Stage::Denoising)?;
            if ids[..i].contains(&id) {
                return bad(format!("row {} twice", id.0), "each row once");
            }
            if *group.get_or_insert(row.size()) != row.size() {
                return bad(format!("row {} of another size", id.0), "rows of one group");
            }
            let gang = self.gang_of(row);
            let mates = gang.iter().filter(|mate| self.rows[mate].stage() == Stage::Denoising);
            if let Some(absent) = mates.clone().find(|mate| !ids.contains(mate)) {
                return bad(format!("row {} without row {} of its gang", id.0, absent.0), "whole gangs");
            }
            let mut branches = row.branches();
            if row.is_controlled(self.gangs[&row.gang]) {
                mates.for_each(|mate| guidance::extend(&mut branches, &self.rows[mate].branches()));
            }
            let count = branches.len() as i64;
            parts.push(Part { id, branches, start });
            start += count;
        }
        if parts.is_empty() { bad("no rows".into(), "at least one row") } else { Ok(parts) }
    }

    /// Where each branch of the batch takes its self-attention pattern from; `None` if everywhere from itself.
    fn attention_map(&self, parts: &[Part]) -> Option<AttentionMap> {
        let mut source: Vec<i64> = Vec::new();
        let mut redirected = false;
        for part in parts {
            let row = &self.rows[&part.id];
            let controlled = row.is_controlled(self.gangs[&row.gang]);
            let leader = parts.iter().find(|p| self.rows[&p.id].gang == row.gang).unwrap_or(part);
            let from = if controlled { leader } else { part };
            redirected |= from.id != part.id;
            source.extend((0..part.branches.len() as i64).map(|i| from.start + i));
        }
        redirected.then(|| AttentionMap::new(&source, self.model.device()))
    }

    fn try_step(&mut self, ids: &[RowId]) -> Result<()> {
        let parts = self.plan(ids)?;
        let map = self.attention_map(&parts);
        let prediction = contain("a denoising step", || self.forward(&parts, map.as_ref()))?;
        self.check_finite(&parts, &prediction)?;
        // All rows are advanced before any is changed: an error leaves everything as it was.
        let advanced = contain("a sampler step", || {
            parts.iter().map(|part| self.advance(part, &prediction)).collect::<Result<Vec<_>>>()
        })?;
        for (part, (state, latents)) in parts.iter().zip(advanced) {
            if let Some(row) = self.rows.get_mut(&part.id) {
                row.state = state;
                row.latents = latents;
                row.forward += 1;
                row.evaluations += part.branches.len();
            }
        }
        Ok(())
    }

    /// The network's prediction for every branch, `[b, C, h, w]` float32.
    fn forward(&mut self, parts: &[Part], map: Option<&AttentionMap>) -> Result<Tensor> {
        let unet = self.model.unet();
        let mut inputs = Vec::new();
        let mut images = Vec::new();
        let mut timesteps: Vec<f32> = Vec::new();
        let mut prompts: Vec<Rc<Prompt>> = Vec::new();
        for part in parts {
            let row = &self.rows[&part.id];
            let Some(encoded) = &row.encoded else { return Err(Error::UnknownRow(part.id.0)) };
            let input = row.sampler.scale_model_input(&row.latents, row.forward)?.to_kind(unet.kind());
            let timestep = row.sampler.timestep(row.forward)? as f32;
            for (branch, _) in &part.branches {
                inputs.push(input.shallow_clone());
                timesteps.push(timestep);
                prompts.push(if *branch == Branch::Full {
                    encoded.prompt.clone()
                } else {
                    encoded.negative.clone()
                });
                images.extend(encoded.image_latents.as_ref().map(|image| match branch {
                    Branch::None => image.zeros_like(),
                    _ => image.shallow_clone(),
                }));
            }
        }
        let mut sample = Tensor::cat(&inputs, 0);
        if !images.is_empty() {
            sample = Tensor::cat(&[sample, Tensor::cat(&images, 0)], 1);
        }
        let text = self.prompts.batch(&prompts.iter().map(Rc::as_ref).collect::<Vec<_>>());
        let timesteps = Tensor::from_slice(&timesteps).to_device(unet.device());
        Ok(unet.forward(&sample, &timesteps, &text, map).to_kind(Kind::Float))
    }

    fn check_finite(&self, parts: &[Part], prediction: &Tensor) -> Result<()> {
        let finite = |t: &Tensor| t.isfinite().all().int64_value(&[]) != 0;
        contain("checking a step", || {
            if finite(prediction) {
                return Ok(());
            }
            let bad = parts.iter().find(|p| !finite(&prediction.narrow(0, p.start, p.branches.len() as i64)));
            let bad = bad.unwrap_or(&parts[0]);
            let weight = self.model.first_non_finite();
            let hint =
                weight.map(|w| format!("the model's weights are at fault, first `{w}`; download them again"));
            Err(Error::NonFinite { row: bad.id.0, forward: self.rows[&bad.id].forward, hint })
        })
    }

    /// A row's sampler state and latents after its part of `prediction`.
    fn advance(&self, part: &Part, prediction: &Tensor) -> Result<(crate::samplers::SamplerState, Tensor)> {
        let row = &self.rows[&part.id];
        let own = prediction.narrow(0, part.start, part.branches.len() as i64);
        let guided = guidance::combine(&own, &part.branches);
        let noise = row.sampler.noise_index(row.forward).and_then(|i| row.noise.get(i));
        let mut state = row.state.fork();
        let latents = row.sampler.step(&mut state, &guided, &row.latents, noise)?;
        Ok((state, latents))
    }

    fn try_decode(&mut self, ids: &[RowId]) -> Result<()> {
        for &id in ids {
            let row = self.in_stage(id, Stage::Denoised)?;
            let vae = self.model.vae();
            let (width, height) = row.size();
            let tiled = u64::from(width) * u64::from(height) > self.options.tile_above;
            let image = contain("decoding an image", || {
                let latents = &row.latents / vae.config().scaling_factor;
                let image = if tiled { vae.decode_tiled(&latents) } else { vae.decode(&latents) };
                Ok((image.to_kind(Kind::Float) / 2.0 + 0.5).clamp(0.0, 1.0))
            })?;
            if image.isfinite().all().int64_value(&[]) == 0 {
                let weight = self.model.first_non_finite();
                let hint = weight.map(|w| format!("the model's weights are at fault, first `{w}`"));
                let hint = hint.or_else(|| Some("the VAE overflowed; decode in float32".to_owned()));
                return Err(Error::NonFinite { row: id.0, forward: row.forward, hint });
            }
            if let Some(row) = self.rows.get_mut(&id) {
                row.image = Some(image);
            }
        }
        Ok(())
    }

    fn try_take(&mut self, id: RowId) -> Result<Output> {
        self.in_stage(id, Stage::Decoded)?;
        let row = self.rows.remove(&id).ok_or(Error::UnknownRow(id.0))?;
        self.forget_empty_gangs();
        let values = |tensor: Option<&Tensor>| tensor.map(floats).unwrap_or_default();
        let encoded = row.encoded.as_ref();
        let (_, c, h, w) = dims4(&row.latents);
        let text = encoded.map(|e| e.prompt.embeds.size()).unwrap_or_default();
        let dimension = |i: usize| text.get(i).map_or(0, |&d| d as usize);
        Ok(Output {
            image: values(row.image.as_ref()),
            width: row.request.width,
            height: row.request.height,
            latents: floats(&row.latents),
            latent_shape: [c, h, w].map(|d| d as usize),
            text_shape: [dimension(1), dimension(2)],
            image_latents: values(encoded.and_then(|e| e.image_latents.as_ref())),
            text_embeds: values(encoded.map(|e| &e.prompt.embeds)),
            evaluations: row.evaluations,
            truncated: encoded.and_then(|e| e.prompt.truncated.clone()),
        })
    }

    fn forget_empty_gangs(&mut self) {
        let rows = &self.rows;
        self.gangs.retain(|gang, _| rows.values().any(|row| row.gang == *gang));
    }
}

fn encode_text(
    model: &Model,
    prompts: &mut PromptCache,
    request: &RowRequest,
    image_latents: Option<Tensor>,
) -> Result<Encoded> {
    contain("encoding text", || {
        Ok(Encoded {
            prompt: prompts.get(model, &request.prompt, request.clip_skip)?,
            // Whole, as in the reference, which skips layers for the prompt only.
            negative: prompts.get(model, &request.negative, None)?,
            image_latents,
        })
    })
}

impl StepEngine for Engine {
    fn capacity(&self) -> Capacity {
        Capacity { rows: self.options.rows, used: self.rows.len() }
    }

    fn admit(&mut self, gang: Gang) -> Result<Vec<RowId>, EngineError> {
        let free = self.options.rows.saturating_sub(self.rows.len());
        if gang.rows.len() > free {
            return Err(EngineError {
                kind: EngineErrorKind::Unavailable,
                code: "engine_full",
                message: format!(
                    "{} rows do not fit: {free} of {} are free",
                    gang.rows.len(),
                    self.options.rows
                ),
                rows: Vec::new(),
                source: None,
            });
        }
        let _no_grad = tch::no_grad_guard();
        Ok(self.try_admit(gang)?)
    }

    fn rows(&self) -> Vec<RowStatus> {
        self.rows.iter().map(|(id, row)| row.status(*id, self.gang_of(row))).collect()
    }

    fn encode(&mut self, rows: &[RowId]) -> Result<(), EngineError> {
        let _no_grad = tch::no_grad_guard();
        Ok(self.try_encode(rows)?)
    }

    fn step(&mut self, rows: &[RowId]) -> Result<(), EngineError> {
        let _no_grad = tch::no_grad_guard();
        Ok(self.try_step(rows)?)
    }

    fn decode(&mut self, rows: &[RowId]) -> Result<(), EngineError> {
        let _no_grad = tch::no_grad_guard();
        Ok(self.try_decode(rows)?)
    }

    fn take(&mut self, row: RowId) -> Result<Output, EngineError> {
        Ok(self.try_take(row)?)
    }

    fn export(&self, row: RowId) -> Result<Vec<u8>, EngineError> {
        let fingerprint = self.fingerprint()?;
        Ok(contain("exporting a row", || export::write(self.row(row)?, fingerprint))?)
    }

    fn cancel(&mut self, row: RowId) -> Result<Vec<RowId>, EngineError> {
        let gang = self.gang_of(self.row(row)?);
        gang.iter().for_each(|id| drop(self.rows.remove(id)));
        self.forget_empty_gangs();
        Ok(gang)
    }

    fn exclusive(
        &mut self,
        unit: &mut dyn FnMut(Duration) -> UnitProgress,
        slice: Duration,
    ) -> Result<UnitProgress, EngineError> {
        Ok(contain("an exclusive unit", || Ok(unit(slice.min(Duration::from_secs(2)))))?)
    }
}

impl From<Error> for EngineError {
    fn from(error: Error) -> Self {
        let (kind, rows) = match &error {
            Error::Parameter { .. } | Error::Sampler(_) | Error::Export(_) | Error::Tokenizer { .. } => {
                (EngineErrorKind::Invalid, Vec::new())
            }
            Error::UnknownRow(id) => (EngineErrorKind::Unavailable, vec![RowId(*id)]),
            Error::OutOfMemory { .. } => (EngineErrorKind::OutOfMemory, Vec::new()),
            Error::NonFinite { row, .. } => (EngineErrorKind::NonFinite, vec![RowId(*row)]),
            _ => (EngineErrorKind::Internal, Vec::new()),
        };
        Self { kind, code: error.code(), message: error.to_string(), rows, source: Some(Box::new(error)) }
    }
}
