//! The step machine: [`StepEngine`] on LibTorch.

mod batch;

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use retouch_ports::step_engine::{
    Capacity, EngineError, EngineErrorKind, Gang, GangControl, Output, RowId, RowStatus, Stage, StepEngine,
    Task, UnitProgress,
};
use tch::{Kind, Tensor};

use super::Model;
use super::export;
use super::guidance::{self, Branches};
use super::prompt::PromptCache;
use super::row::{Encoded, Row};
use super::spatial::RowSpatial;
use crate::error::{Error, Result, contain};

/// Most rows of a gang.
const MAX_GANG: usize = 4;

/// Settings of an engine.
#[derive(Debug, Clone, Copy)]
pub struct EngineOptions {
    /// Rows that fit.
    pub rows: usize,
    /// Images of more pixels are encoded and decoded in tiles.
    pub tile_above: u64,
    /// Gives back the mapped pages of text encoder and VAE after encoding. For a process that makes one image: what is
    /// used again has to be read again.
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

    /// The branches of the row's next forward: its own, and those that the rest of its `gang` takes from it.
    fn branches_of(&self, row: &Row, gang: &[RowId]) -> Branches {
        let mut branches = row.branches();
        if row.is_controlled(self.gangs[&row.gang]) {
            let unfinished = gang.iter().filter(|mate| !self.is_finished(mate));
            unfinished.for_each(|mate| guidance::extend(&mut branches, &self.rows[mate].branches()));
        }
        branches
    }

    fn is_finished(&self, id: &RowId) -> bool {
        matches!(self.rows[id].stage(), Stage::Denoised | Stage::Decoded)
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
        let place = |row: &Row| (row.forward, row.sampler.evaluations());
        if gang.control != GangControl::Independent && rows.iter().any(|row| place(row) != place(&rows[0])) {
            let expected =
                "rows with as many forwards done and to do, as they share their attention".to_owned();
            return Err(Error::Parameter { name: "gang", value: format!("{count} rows"), expected });
        }
        let ids: Vec<_> = (self.next..).take(count).map(RowId).collect();
        self.next += count as u64;
        self.gangs.insert(gang_id, gang.control);
        self.rows.extend(ids.iter().copied().zip(rows));
        Ok(ids)
    }

    /// Puts a new row where its export left off.
    fn resume(&mut self, row: &mut Row, data: &[u8]) -> Result<()> {
        let fingerprint = self.fingerprint()?;
        let kind = self.model.kind();
        let resumed = contain("reading an exported row", || {
            let image_latents = export::resume(data, row, fingerprint)?;
            Ok(image_latents.map(|latents| latents.map(|t| t.to_kind(kind))))
        })?;
        let Some(image_latents) = resumed else {
            tracing::warn!("an exported row is of another model or format version: it restarts at step 0");
            return Ok(());
        };
        row.encoded = Some(encode_text(&self.model, &mut self.prompts, row, image_latents)?);
        Ok(())
    }

    /// Encodes one row: what shares the call does not influence the result, and memory stays bounded.
    fn try_encode(&mut self, id: RowId) -> Result<()> {
        let row = self.in_stage(id, Stage::Admitted)?;
        let image_latents = match &row.request.task {
            Task::Generate => None,
            Task::Edit { image } => {
                let (w, h) = row.size();
                Some(contain("encoding an image", || {
                    let latents = self.encode_image(image, w, h);
                    self.expect_finite(&latents, id, row.forward, "encode")?;
                    Ok(latents)
                })?)
            }
        };
        let row = self.rows.get_mut(&id).ok_or(Error::UnknownRow(id.0))?;
        row.encoded = Some(encode_text(&self.model, &mut self.prompts, row, image_latents)?);
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

    /// Refuses what the VAE made of a row's image or latents if it is not finite.
    fn expect_finite(&self, result: &Tensor, id: RowId, forward: usize, what: &str) -> Result<()> {
        if finite(result) {
            return Ok(());
        }
        let narrow = self.model.vae().kind() != Kind::Float;
        let advice = if narrow { format!("; {what} in float32") } else { ", even in float32".to_owned() };
        let hint = self.bad_weight().or_else(|| Some(format!("the VAE overflowed{advice}")));
        Err(Error::NonFinite { row: id.0, forward, hint })
    }

    fn bad_weight(&self) -> Option<String> {
        let weight = self.model.first_non_finite()?;
        Some(format!("the model's weights are at fault, first `{weight}`; download them again"))
    }

    fn try_decode(&mut self, id: RowId) -> Result<()> {
        let row = self.in_stage(id, Stage::Denoised)?;
        let vae = self.model.vae();
        let (width, height) = row.size();
        let tiled = u64::from(width) * u64::from(height) > self.options.tile_above;
        let image = contain("decoding an image", || {
            let latents = &row.latents / vae.config().scaling_factor;
            let image = if tiled { vae.decode_tiled(&latents) } else { vae.decode(&latents) };
            // Before clamping, which would make white or black of infinity.
            self.expect_finite(&image, id, row.forward, "decode")?;
            Ok((image.to_kind(Kind::Float) / 2.0 + 0.5).clamp(0.0, 1.0))
        })?;
        if let Some(row) = self.rows.get_mut(&id) {
            row.image = Some(image);
        }
        Ok(())
    }

    fn try_take(&mut self, id: RowId) -> Result<Output> {
        let row = self.in_stage(id, Stage::Decoded)?;
        let output = contain("reading a result", || Ok(row.output()))?;
        self.rows.remove(&id);
        self.forget_empty_gangs();
        Ok(output)
    }

    fn forget_empty_gangs(&mut self) {
        let rows = &self.rows;
        self.gangs.retain(|gang, _| rows.values().any(|row| row.gang == *gang));
    }
}

fn finite(tensor: &Tensor) -> bool {
    tensor.isfinite().all().int64_value(&[]) != 0
}

fn encode_text(
    model: &Model,
    prompts: &mut PromptCache,
    row: &Row,
    image_latents: Option<Tensor>,
) -> Result<Encoded> {
    let request = &row.request;
    let own_branch = guidance::has_negative(request);
    contain("encoding text", || {
        let layer = model.spatial().zip(row.plan.as_ref());
        let spatial = match (layer, &image_latents) {
            (Some(layer), Some(source)) => {
                Some(RowSpatial::new(model, prompts, layer, request.spatial, source)?)
            }
            _ => None,
        };
        Ok(Encoded {
            spatial,
            prompt: prompts.get(model, &request.prompt, request.clip_skip)?,
            // Whole, as in the reference, which skips layers for the prompt only.
            without: prompts.get(model, if own_branch { "" } else { &request.negative }, None)?,
            negative: own_branch.then(|| prompts.get(model, &request.negative, None)).transpose()?,
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
        let status = |(id, row): (&RowId, &Row)| {
            let gang = self.gang_of(row);
            row.status(*id, self.branches_of(row, &gang).len(), gang)
        };
        self.rows.iter().map(status).collect()
    }

    fn encode(&mut self, rows: &[RowId]) -> Result<(), EngineError> {
        let _no_grad = tch::no_grad_guard();
        let result = rows.iter().try_for_each(|&row| self.try_encode(row).map_err(|e| blame(row, e)));
        if self.options.low_memory {
            self.model.text_encoder().checkpoint().release_all();
            self.model.vae().checkpoint().release_all();
        }
        result
    }

    fn step(&mut self, rows: &[RowId]) -> Result<(), EngineError> {
        let _no_grad = tch::no_grad_guard();
        Ok(self.try_step(rows)?)
    }

    fn decode(&mut self, rows: &[RowId]) -> Result<(), EngineError> {
        let _no_grad = tch::no_grad_guard();
        rows.iter().try_for_each(|&row| self.try_decode(row).map_err(|e| blame(row, e)))
    }

    fn take(&mut self, row: RowId) -> Result<Output, EngineError> {
        Ok(self.try_take(row)?)
    }

    fn export(&self, row: RowId) -> Result<Vec<u8>, EngineError> {
        let fingerprint = self.fingerprint()?;
        Ok(contain("exporting a row", || export::write(self.row(row)?, fingerprint))?)
    }

    fn cancel(&mut self, row: RowId) -> Result<Vec<RowId>, EngineError> {
        let mut gang = self.gang_of(self.row(row)?);
        gang.retain(|id| *id == row || !self.is_finished(id));
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

/// The error of a call for one row.
fn blame(row: RowId, error: Error) -> EngineError {
    EngineError { rows: vec![row], ..EngineError::from(error) }
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

#[cfg(test)]
mod tests;
