//! The spatial attention layer: what an instruction says of places and amounts, beside its words.
//!
//! Three paths into a UNet that stays as it is, each of which begins at zero, so that a new layer changes nothing:
//!
//! - up to eight spatial tokens (operation, words of the referent, region, displacement, angle, scale, count) that image
//!   tokens attend to after their cross-attention, in maps of at most 32² pixels;
//! - in the same attention, a bias towards where the parsed geometry says that a pixel's content comes from;
//! - coordinates, region maps and the source latents under that geometry, through a convolution of their own that is added
//!   to the UNet's first.
//!
//! All of it belongs to the text condition: without the text the tokens are one learned null token, and there is neither
//! map nor bias.

mod config;
mod layer;
mod plan;
#[cfg(test)]
mod tests;
mod transform;

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use retouch_instruction::FractionBox;
use tch::{Device, Kind, Tensor};

pub use config::SpatialConfig;
pub use plan::{SpatialPlan, TOKENS};

use crate::checkpoint::Checkpoint;
use crate::error::Result;
use crate::models::unet::UNetConfig;
use crate::nn::{Activation, Conv2d, Linear, dims4};
use crate::training::Parameters;
use crate::weights::{self, LoadReport, Scope};
pub(crate) use layer::GatedAttention;
use plan::{NUMBERS, OPERATIONS, RELATIONS, Slot};

/// Maps beside the source latents: two coordinates, source region, target region, and where the moved source is.
const MAPS: i64 = 5;

/// The layer's weights, for one UNet.
pub struct Spatial {
    config: SpatialConfig,
    linear_1: Linear,
    linear_2: Linear,
    /// `[token_dim]`, from 0.
    null: Tensor,
    maps: Conv2d,
    /// One for each transformer block, in the order in which the UNet meets them.
    attentions: Vec<GatedAttention>,
    device: Device,
    kind: Kind,
    checkpoint: Arc<Checkpoint>,
}

/// The layer's input for the rows of one forward.
pub struct SpatialBatch {
    /// `[b, C, h, w]`: added to the UNet's first feature map.
    pub(crate) added: Tensor,
    /// `[b, 8, token_dim]`.
    tokens: Tensor,
    /// `[b, 2, 3]` float32: where a point of the target comes from.
    origins: Tensor,
    /// `[b, 1, 1]` float32: 1 where there is a geometry.
    moved: Tensor,
    /// `[b, 1, 1]` float32: 0 for rows that do without the layer.
    on: Tensor,
    max_pixels: i64,
    distances: RefCell<HashMap<(i64, i64), Tensor>>,
}

impl Spatial {
    /// Loads `folder/config.json` and the checkpoint `diffusion_pytorch_model` beside it, for a UNet of this form.
    pub fn load(
        folder: &Path,
        variant: Option<&str>,
        device: Device,
        kind: Kind,
        unet: &UNetConfig,
    ) -> Result<(Self, LoadReport)> {
        let config = SpatialConfig::from_file(&folder.join("config.json"))?;
        let checkpoint = Checkpoint::open(folder, "diffusion_pytorch_model", variant)?;
        weights::load("loading the spatial layer", checkpoint, device, kind, |at| Self::new(at, config, unet))
    }

    /// The layer in training, with float32 leaves; it computes in `kind`.
    pub(crate) fn in_training(
        config: SpatialConfig,
        parameters: Parameters,
        kind: Kind,
        unet: &UNetConfig,
    ) -> Result<Self> {
        let (device, checkpoint) = (parameters.device(), Checkpoint::in_training(parameters));
        let build = |at: &Scope| Self::new(at, config, unet);
        weights::load("building the spatial layer", checkpoint, device, kind, build).map(|(layer, _)| layer)
    }

    fn new(at: &Scope, config: SpatialConfig, unet: &UNetConfig) -> Self {
        let features = (OPERATIONS + 1 + RELATIONS) as i64 + NUMBERS as i64 * (1 + 2 * config.frequencies);
        let text = unet.cross_attention_dim[0];
        let token = at / "token_embedding";
        let attention = |(path, level): (String, usize)| {
            let width = unet.block_out_channels[level];
            GatedAttention::new(&(at / path), width, unet.heads[level], config.token_dim)
        };
        Self {
            linear_1: Linear::new(&(&token / "linear_1"), features + text, config.token_dim, true),
            linear_2: Linear::new(&(&token / "linear_2"), config.token_dim, config.token_dim, true),
            null: at.clone().zeroed().get("null_token", &[config.token_dim]),
            maps: Conv2d::same3_unbiased(
                &(at / "maps").zeroed(),
                MAPS + unet.out_channels,
                unet.block_out_channels[0],
            ),
            attentions: unet.transformer_blocks().into_iter().map(attention).collect(),
            device: at.device(),
            kind: at.kind(),
            checkpoint: at.checkpoint().clone(),
            config,
        }
    }

    /// The configuration that the layer was built from.
    pub fn config(&self) -> &SpatialConfig {
        &self.config
    }

    /// The checkpoint that the weights came from.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    pub(crate) fn attentions(&self) -> &[GatedAttention] {
        &self.attentions
    }

    /// The input for rows that have these plans; `None` for a row without its text. `phrases [b, 8, text]` are the
    /// embeddings of [`SpatialPlan::phrases`], anything elsewhere; `source [b, C, h, w]` the image latents as the UNet is
    /// conditioned on them.
    pub fn batch(&self, plans: &[Option<&SpatialPlan>], phrases: &Tensor, source: &Tensor) -> SpatialBatch {
        let rows = plans.len() as i64;
        let origin = |plan: &Option<&SpatialPlan>| plan.and_then(|p| p.transform).and_then(|t| t.inverse());
        let origins: Vec<_> = plans.iter().map(origin).collect();
        let flags = |flags: Vec<bool>| {
            let flags: Vec<f32> = flags.into_iter().map(|flag| if flag { 1.0 } else { 0.0 }).collect();
            Tensor::from_slice(&flags).to_device(self.device)
        };
        let matrices: Vec<f32> = origins.iter().flat_map(|o| o.map_or([0.0; 6], |o| o.rows())).collect();
        let origins_ = Tensor::from_slice(&matrices).view([rows, 2, 3]).to_device(self.device);
        let moved = flags(origins.iter().map(Option::is_some).collect()).view([rows, 1, 1]);
        let (_, _, h, w) = dims4(source);
        let maps = Tensor::cat(&[self.region_maps(plans, h, w), moved_source(source, &origins_, &moved)], 1);
        let present = flags(plans.iter().map(Option::is_some).collect()).view([rows, 1, 1, 1]);
        SpatialBatch {
            added: self.maps.forward(&(maps * present).to_kind(self.kind)),
            tokens: self.tokens(plans, phrases),
            origins: origins_,
            moved,
            on: Tensor::ones([rows, 1, 1], (Kind::Float, self.device)),
            max_pixels: self.config.max_pixels,
            distances: RefCell::default(),
        }
    }

    /// `[b, 8, token_dim]`.
    fn tokens(&self, plans: &[Option<&SpatialPlan>], phrases: &Tensor) -> Tensor {
        let rows = plans.len() as i64;
        let slots: Vec<Option<&Slot>> = plans
            .iter()
            .flat_map(|plan| (0..TOKENS).map(move |i| plan.and_then(|p| p.slots.get(i))))
            .collect();
        let features: Vec<f32> =
            slots.iter().flat_map(|slot| self.features(slot.unwrap_or(&Slot::default()))).collect();
        let flags = |flag: &dyn Fn(&Slot) -> bool| {
            let flags: Vec<f32> =
                slots.iter().map(|slot| if slot.is_some_and(flag) { 1.0 } else { 0.0 }).collect();
            Tensor::from_slice(&flags).view([rows, TOKENS as i64, 1]).to_device(self.device)
        };
        let features = Tensor::from_slice(&features).view([rows, TOKENS as i64, -1]).to_device(self.device);
        let words =
            phrases.to_device(self.device).to_kind(Kind::Float) * flags(&|slot| slot.phrase.is_some());
        let input = Tensor::cat(&[features, words], 2).to_kind(self.kind);
        let tokens = self.linear_2.forward(&Activation::Silu.forward(&self.linear_1.forward(&input)));
        let used = flags(&|_| true).to_kind(self.kind);
        tokens * &used + self.null.to_kind(self.kind) * (1.0 - used)
    }

    /// Operation and role, relation, and for each number whether it is there and its waves.
    fn features(&self, slot: &Slot) -> Vec<f32> {
        let one_hot = |size: usize, index: Option<usize>| {
            (0..size).map(move |i| if Some(i) == index { 1.0 } else { 0.0 })
        };
        let mut features: Vec<f32> = one_hot(OPERATIONS, Some(slot.operation)).collect();
        features.push(if slot.is_destination { 1.0 } else { 0.0 });
        features.extend(one_hot(RELATIONS, slot.relation));
        for number in slot.numbers {
            features.push(if number.is_some() { 1.0 } else { 0.0 });
            for k in 0..self.config.frequencies {
                let waves = number.map_or((0.0, 0.0), |value| {
                    (value.clamp(-8.0, 8.0) * std::f64::consts::PI * 2f64.powi(k as i32 - 1)).sin_cos()
                });
                features.extend([waves.0 as f32, waves.1 as f32]);
            }
        }
        features
    }

    /// `[b, 4, h, w]` float32: coordinates from −1 to 1, and how much of each pixel the source and target regions cover.
    fn region_maps(&self, plans: &[Option<&SpatialPlan>], h: i64, w: i64) -> Tensor {
        let across = centres(w, self.device).view([1, 1, 1, w]).expand([1, 1, h, w], false);
        let down = centres(h, self.device).view([1, 1, h, 1]).expand([1, 1, h, w], false);
        let regions = plans.iter().map(|plan| {
            let region = |bounds: Option<FractionBox>| covered(bounds, h, w, self.device);
            Tensor::cat(&[region(plan.and_then(|p| p.source)), region(plan.and_then(|p| p.target))], 1)
        });
        let coordinates = Tensor::cat(&[across, down], 1).expand([plans.len() as i64, 2, h, w], false);
        Tensor::cat(&[coordinates, Tensor::cat(&regions.collect::<Vec<_>>(), 0)], 1)
    }
}

impl SpatialBatch {
    /// The same for a row that does without the layer: in a forward with others, nothing of it changes.
    pub(crate) fn off(&self) -> Self {
        Self { added: self.added.zeros_like(), on: self.on.zeros_like(), ..self.shared() }
    }

    /// A batch of the same tensors.
    pub(crate) fn shared(&self) -> Self {
        Self {
            added: self.added.shallow_clone(),
            tokens: self.tokens.shallow_clone(),
            origins: self.origins.shallow_clone(),
            moved: self.moved.shallow_clone(),
            on: self.on.shallow_clone(),
            max_pixels: self.max_pixels,
            distances: RefCell::default(),
        }
    }

    /// The rows of `parts`, at least one, one after the other.
    pub(crate) fn gather(parts: &[&SpatialBatch]) -> Self {
        let join = |field: fn(&SpatialBatch) -> &Tensor| {
            Tensor::cat(&parts.iter().map(|part| field(part)).collect::<Vec<_>>(), 0)
        };
        Self {
            added: join(|part| &part.added),
            tokens: join(|part| &part.tokens),
            origins: join(|part| &part.origins),
            moved: join(|part| &part.moved),
            on: join(|part| &part.on),
            max_pixels: parts[0].max_pixels,
            distances: RefCell::default(),
        }
    }

    /// Squared distances between where each pixel of a map comes from and each pixel, `[b, h·w, h·w]` float32 in units of
    /// half the image; 0 where there is no geometry. Computed once per size.
    fn distances(&self, (h, w): (i64, i64)) -> Tensor {
        let mut known = self.distances.borrow_mut();
        let distances = known.entry((h, w)).or_insert_with(|| {
            let device = self.origins.device();
            let across = centres(w, device).view([1, w]).expand([h, w], false);
            let down = centres(h, device).view([h, 1]).expand([h, w], false);
            let pixels = Tensor::stack(&[across, down], -1).reshape([1, h * w, 2]);
            let matrix = self.origins.narrow(2, 0, 2).transpose(1, 2);
            let from = pixels.matmul(&matrix) + self.origins.narrow(2, 2, 1).transpose(1, 2); // [b, h·w, 2]
            let squares = |points: &Tensor| points.square().sum_dim_intlist([-1i64].as_slice(), true, None);
            let products = from.matmul(&pixels.transpose(1, 2));
            let distances = squares(&from) - products * 2.0 + squares(&pixels).transpose(1, 2);
            distances.clamp_min(0.0) * &self.moved
        });
        distances.shallow_clone()
    }
}

/// Centres of `n` pixels from edge to edge, −1 to 1.
fn centres(n: i64, device: Device) -> Tensor {
    (Tensor::arange(n, (Kind::Float, device)) * 2.0 + 1.0) / n as f64 - 1.0
}

/// `[b, 1 + C, h, w]` float32: where the source is after it moved, and the moved source; 0 where there is no geometry.
fn moved_source(source: &Tensor, origins: &Tensor, moved: &Tensor) -> Tensor {
    let source = source.to_kind(Kind::Float).to_device(origins.device());
    let (b, c, h, w) = dims4(&source);
    let ones = Tensor::ones([b, 1, h, w], (Kind::Float, source.device()));
    let grid = Tensor::affine_grid_generator(origins, [b, 1 + c, h, w], false);
    // Bilinear, zero outside, corners at the edges of pixels.
    Tensor::cat(&[ones, source], 1).grid_sampler(&grid, 0, 0, false) * moved.unsqueeze(-1)
}

/// How much of each pixel `bounds` covers, `[1, 1, h, w]` float32.
fn covered(bounds: Option<FractionBox>, h: i64, w: i64, device: Device) -> Tensor {
    let Some(FractionBox { left, top, right, bottom }) = bounds else {
        return Tensor::zeros([1, 1, h, w], (Kind::Float, device));
    };
    let along = |n: i64, from: f64, to: f64| {
        let start = Tensor::arange(n, (Kind::Float, device));
        let end = &start + 1.0;
        let (from, to) = (from * n as f64, to * n as f64);
        (end.clamp_max(to) - start.clamp_min(from)).clamp_min(0.0)
    };
    along(h, top, bottom).view([1, 1, h, 1]) * along(w, left, right).view([1, 1, 1, w])
}
