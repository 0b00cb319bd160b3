//! The spatial layer's part of a row.

use retouch_instruction::{FractionBox, Intent};
use retouch_ports::step_engine::RowRequest;
use tch::{Kind, Tensor};

use super::Model;
use super::guidance::Branch;
use super::prompt::PromptCache;
use crate::error::{Error, Result};
use crate::models::spatial::{Spatial, SpatialBatch, SpatialPlan, TOKENS};

/// What a row's branches give to the spatial layer.
pub(super) struct RowSpatial {
    /// With the text.
    full: SpatialBatch,
    /// Without it.
    without: SpatialBatch,
    is_on: bool,
}

/// What the layer is told of the request's intents.
pub(super) fn plan(request: &RowRequest, intents: &[Intent]) -> Result<SpatialPlan> {
    let marked = request.source_box.map(marked).transpose()?;
    Ok(SpatialPlan::new(intents, marked, (request.width, request.height)))
}

fn marked(edges: [f64; 4]) -> Result<FractionBox> {
    let [left, top, right, bottom] = edges;
    let inside = edges.iter().all(|edge| (0.0..=1.0).contains(edge));
    if inside && left < right && top < bottom {
        return Ok(FractionBox { left, top, right, bottom });
    }
    let expected = "left, top, right and bottom from 0 to 1, left below right and top below bottom";
    Err(Error::Parameter { name: "source_box", value: format!("{edges:?}"), expected: expected.into() })
}

impl RowSpatial {
    /// For the plan of one row, whose image latents are `source [1, C, h, w]`. A row that does without the layer still
    /// has an entry, so that it can share a forward with rows that use it.
    pub(super) fn new(
        model: &Model,
        prompts: &mut PromptCache,
        (spatial, plan): (&Spatial, &SpatialPlan),
        is_on: bool,
        source: &Tensor,
    ) -> Result<Self> {
        let width = model.text_encoder().config().hidden_size;
        let mut phrases: Vec<Tensor> = Vec::with_capacity(TOKENS);
        phrases.resize_with(TOKENS, || Tensor::zeros([1, width], (Kind::Float, model.device())));
        for (i, phrase) in plan.phrases().filter(|_| is_on) {
            phrases[i] = prompts.pooled(model, phrase)?;
        }
        let phrases = Tensor::stack(&phrases, 1); // [1, 8, text]
        let without = spatial.batch(&[None], &phrases, source);
        if !is_on {
            return Ok(Self { full: without.off(), without: without.off(), is_on });
        }
        Ok(Self { full: spatial.batch(&[Some(plan)], &phrases, source), without, is_on })
    }

    /// Whether the row uses the layer.
    pub(super) fn is_on(&self) -> bool {
        self.is_on
    }

    /// The input of one branch.
    pub(super) fn of(&self, branch: Branch) -> &SpatialBatch {
        if branch == Branch::Full { &self.full } else { &self.without }
    }
}
