//! One forward pass for a set of rows: whose branches are in it, what goes in, what comes out.

use std::rc::Rc;

use retouch_ports::step_engine::{RowId, Stage};
use tch::{Kind, Tensor};

use super::{Engine, finite};
use crate::error::{Error, Result, contain};
use crate::models::spatial::SpatialBatch;
use crate::models::unet::AttentionMap;
use crate::pipeline::guidance::{self, Branch, Branches, Feedback, Observed};
use crate::pipeline::prompt::Prompt;
use crate::pipeline::spatial::RowSpatial;
use crate::samplers::SamplerState;

/// A row's part of a forward.
struct Part {
    id: RowId,
    branches: Branches,
    /// Where its branches begin in the batch.
    start: i64,
}

/// A row's sampler state, latents and feedback after a forward.
type Advanced = (SamplerState, Tensor, Feedback);

impl Engine {
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
            if let Some(absent) = gang.iter().find(|mate| !self.is_finished(mate) && !ids.contains(mate)) {
                return bad(format!("row {} without row {} of its gang", id.0, absent.0), "whole gangs");
            }
            let branches = self.branches_of(row, &gang);
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
            let first = self.gang_of(row).first().copied();
            let leader = parts.iter().find(|p| Some(p.id) == first).unwrap_or(part);
            let from = if controlled { leader } else { part };
            redirected |= from.id != part.id;
            source.extend((0..part.branches.len() as i64).map(|i| from.start + i));
        }
        redirected.then(|| AttentionMap::new(&source, self.model.device()))
    }

    pub(super) fn try_step(&mut self, ids: &[RowId]) -> Result<()> {
        let parts = self.plan(ids)?;
        let prediction = contain("a denoising step", || {
            let map = self.attention_map(&parts);
            self.forward(&parts, map.as_ref())
        })?;
        // All rows are advanced before any is changed: an error leaves everything as it was.
        let advanced = contain("a sampler step", || {
            let advanced: Vec<_> =
                parts.iter().map(|part| self.advance(part, &prediction)).collect::<Result<_>>()?;
            self.check_step(&parts, &prediction, &advanced)?;
            Ok(advanced)
        })?;
        for (part, (state, latents, feedback)) in parts.iter().zip(advanced) {
            if let Some(row) = self.rows.get_mut(&part.id) {
                row.state = state;
                row.latents = latents;
                row.feedback = feedback;
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
        let mut spatial: Vec<&SpatialBatch> = Vec::new();
        for part in parts {
            let row = &self.rows[&part.id];
            let Some(encoded) = &row.encoded else { return Err(Error::UnknownRow(part.id.0)) };
            let input = row.sampler.scale_model_input(&row.latents, row.forward)?.to_kind(unet.kind());
            let timestep = row.sampler.timestep(row.forward)? as f32;
            for (branch, _) in &part.branches {
                inputs.push(input.shallow_clone());
                timesteps.push(timestep);
                prompts.push(match branch {
                    Branch::Full => encoded.prompt.clone(),
                    Branch::Negative => encoded.negative.as_ref().unwrap_or(&encoded.without).clone(),
                    Branch::Image | Branch::None => encoded.without.clone(),
                });
                spatial.extend(encoded.spatial.as_ref().map(|spatial| spatial.of(*branch)));
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
        // Where no row uses the layer, its network is the plain one.
        let is_on = |part: &Part| {
            let encoded = self.rows[&part.id].encoded.as_ref();
            encoded.and_then(|encoded| encoded.spatial.as_ref()).is_some_and(RowSpatial::is_on)
        };
        let batch = parts.iter().any(is_on).then(|| SpatialBatch::gather(&spatial));
        let spatial = self.model.spatial().zip(batch.as_ref());
        Ok(unet.forward_spatial(&sample, &timesteps, &text, map, spatial).to_kind(Kind::Float))
    }

    /// Refuses a step from which a row comes out non-finite: guidance may overflow where the prediction does not.
    fn check_step(&self, parts: &[Part], prediction: &Tensor, advanced: &[Advanced]) -> Result<()> {
        let latents = Tensor::cat(&advanced.iter().map(|(_, latents, _)| latents).collect::<Vec<_>>(), 0);
        // One answer from the device for both.
        let all = prediction.isfinite().all().logical_and(&latents.isfinite().all());
        if all.int64_value(&[]) != 0 {
            return Ok(());
        }
        let row_is_finite = |(part, (_, latents, _)): &(&Part, &Advanced)| {
            finite(&prediction.narrow(0, part.start, part.branches.len() as i64)) && finite(latents)
        };
        let bad =
            parts.iter().zip(advanced).find(|row| !row_is_finite(row)).map_or(&parts[0], |(part, _)| part);
        let narrow = (self.model.kind() == Kind::Half)
            .then(|| "float16 overflows; use float32 or bfloat16".to_owned());
        let hint = self.bad_weight().or(narrow);
        Err(Error::NonFinite { row: bad.id.0, forward: self.rows[&bad.id].forward, hint })
    }

    /// A row's sampler state and latents after its part of `prediction`.
    fn advance(&self, part: &Part, prediction: &Tensor) -> Result<Advanced> {
        let row = &self.rows[&part.id];
        let own = prediction.narrow(0, part.start, part.branches.len() as i64);
        let guided = guidance::combine(&own, &part.branches);
        let noise = row.sampler.noise_index(row.forward).and_then(|i| row.noise.get(i));
        let mut state = row.state.fork();
        let latents = row.sampler.step(&mut state, &guided, &row.latents, noise)?;
        let seen = Observed { from: &row.latents, to: &latents, parts: &own, branches: &part.branches };
        let feedback = row.guidance.observe(row.feedback, &row.sampler, row.forward, &seen)?;
        Ok((state, latents, feedback))
    }
}
