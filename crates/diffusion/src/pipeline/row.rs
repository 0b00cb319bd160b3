//! One row of the running batch.

use std::rc::Rc;

use retouch_ports::step_engine::{GangControl, Output, RowId, RowRequest, RowStatus, Stage, Task};
use tch::Tensor;

use super::guidance::{Branches, Feedback, RowGuidance};
use super::prompt::Prompt;
use super::spatial::{self, RowSpatial};
use super::{Family, Model, intent};
use crate::error::{Error, Result};
use crate::floats::floats;
use crate::models::spatial::SpatialPlan;
use crate::nn::dims4;
use crate::noise::SeededNoise;
use crate::samplers::{Sampler, SamplerKind, SamplerOptions, SamplerState, SigmaInterp};

/// Largest number of sampler steps.
const MAX_STEPS: usize = 1000;
/// Largest side of an image in pixels.
const MAX_SIDE: u32 = 8192;
/// Most bytes of a row's latents and draws: 1000 steps of an ancestral sampler at 2048 × 2048 pixels.
const MAX_NOISE_BYTES: u64 = 1 << 30;

/// A row and everything that its next forward needs.
pub(super) struct Row {
    pub(super) request: RowRequest,
    pub(super) gang: u64,
    pub(super) sampler: Sampler,
    pub(super) state: SamplerState,
    pub(super) guidance: RowGuidance,
    /// What the spatial layer is told, where the model has one.
    pub(super) plan: Option<SpatialPlan>,
    /// What guidance has learnt from the forwards done.
    pub(super) feedback: Feedback,
    /// `[1, C, h, w]` float32.
    pub(super) latents: Tensor,
    /// Draws of an ancestral sampler, each `[1, C, h, w]` float32.
    pub(super) noise: Vec<Tensor>,
    pub(super) encoded: Option<Encoded>,
    /// `[1, 3, H, W]` in 0..1.
    pub(super) image: Option<Tensor>,
    /// Forwards done, exports included.
    pub(super) forward: usize,
    /// Branches that this engine evaluated.
    pub(super) evaluations: usize,
}

/// What encoding adds to a row.
pub(super) struct Encoded {
    pub(super) prompt: Rc<Prompt>,
    /// Where there is no text: the empty prompt, or with fixed guidance the negative one.
    pub(super) without: Rc<Prompt>,
    /// The negative prompt, where it is a branch of its own.
    pub(super) negative: Option<Rc<Prompt>>,
    /// Where the model has a spatial layer.
    pub(super) spatial: Option<RowSpatial>,
    /// `[1, C, h, w]` in the UNet's type, unscaled; when editing.
    pub(super) image_latents: Option<Tensor>,
}

impl Row {
    /// A new row at step 0: checks the request and draws its noise.
    pub(super) fn new(model: &Model, request: RowRequest, gang: u64) -> Result<Self> {
        check(model, &request)?;
        let options = SamplerOptions {
            kind: request.sampler.as_deref().map(str::parse::<SamplerKind>).transpose()?,
            sigma_interp: request.sigma_interp.as_deref().map(sigma_interp).transpose()?.unwrap_or_default(),
            karras: request.karras,
            ..SamplerOptions::default()
        };
        let sampler = Sampler::new(model.sampler(), &options, request.steps)?;
        if sampler.kind() == SamplerKind::DdimInverse {
            let expected = "a sampler that makes images: ddim-inverse turns an image into noise".to_owned();
            return Err(Error::Parameter { name: "sampler", value: sampler.kind().to_string(), expected });
        }
        let factor = model.vae().config().factor();
        let shape = [
            1,
            model.vae().config().latent_channels,
            i64::from(request.height) / factor,
            i64::from(request.width) / factor,
        ];
        let parsed = intent::read(&request)?;
        let guidance = RowGuidance::new(&request, parsed.complexity.score, &sampler)?;
        let plan = model.spatial().map(|_| spatial::plan(&request, &parsed.intents)).transpose()?;
        check_memory(shape, sampler.noise_draws())?;
        let (initial, noise) = draw(&request, shape, sampler.noise_draws())?;
        let device = model.device();
        Ok(Self {
            latents: (initial * sampler.init_noise_sigma()).to_device(device),
            noise: noise.into_iter().map(|t| t.to_device(device)).collect(),
            state: sampler.start(),
            feedback: guidance.start(),
            guidance,
            plan,
            sampler,
            request,
            gang,
            encoded: None,
            image: None,
            forward: 0,
            evaluations: 0,
        })
    }

    pub(super) fn stage(&self) -> Stage {
        match (&self.encoded, &self.image) {
            (_, Some(_)) => Stage::Decoded,
            (None, None) => Stage::Admitted,
            _ if self.forward < self.sampler.evaluations() => Stage::Denoising,
            _ => Stage::Denoised,
        }
    }

    /// What the row is handed out as, once it is decoded.
    pub(super) fn output(&self) -> Output {
        let values = |tensor: Option<&Tensor>| tensor.map(floats).unwrap_or_default();
        let encoded = self.encoded.as_ref();
        let (_, c, h, w) = dims4(&self.latents);
        let text = encoded.map(|e| e.prompt.embeds.size()).unwrap_or_default();
        let dimension = |i: usize| text.get(i).map_or(0, |&d| d as usize);
        Output {
            image: values(self.image.as_ref()),
            width: self.request.width,
            height: self.request.height,
            latents: floats(&self.latents),
            latent_shape: [c, h, w].map(|d| d as usize),
            text_shape: [dimension(1), dimension(2)],
            image_latents: values(encoded.and_then(|e| e.image_latents.as_ref())),
            text_embeds: values(encoded.map(|e| &e.prompt.embeds)),
            evaluations: self.evaluations,
            truncated: encoded.and_then(|e| e.prompt.truncated.clone()),
        }
    }

    /// `branches` is how many its next forward evaluates, which its gang may add to.
    pub(super) fn status(&self, id: RowId, branches: usize, gang: Vec<RowId>) -> RowStatus {
        RowStatus {
            id,
            gang,
            stage: self.stage(),
            forward: self.forward,
            forwards: self.sampler.evaluations(),
            branches,
            group: self.size(),
        }
    }

    /// Width and height in pixels.
    pub(super) fn size(&self) -> (u32, u32) {
        (self.request.width, self.request.height)
    }

    /// The branches that the row's own guidance needs.
    pub(super) fn branches(&self) -> Branches {
        self.guidance.branches(self.forward, &self.feedback)
    }

    /// Whether `control` acts on the row's next forward. Source: instruct-pix2pix@0dffd1e
    /// `dataset_creation/generate_img_dataset.py`, `p2p_threshold > i / (len(sigmas) − 2)`.
    pub(super) fn is_controlled(&self, control: GangControl) -> bool {
        match control {
            GangControl::Independent => false,
            GangControl::SelfAttentionCopy { threshold } => {
                let last = self.sampler.evaluations().saturating_sub(1).max(1);
                threshold > self.forward as f64 / last as f64
            }
        }
    }
}

fn sigma_interp(name: &str) -> Result<SigmaInterp> {
    match name {
        "linear" => Ok(SigmaInterp::Linear),
        "log" => Ok(SigmaInterp::Log),
        _ => Err(Error::Parameter {
            name: "sigma_interp",
            value: name.to_owned(),
            expected: "linear or log".into(),
        }),
    }
}

fn check(model: &Model, request: &RowRequest) -> Result<()> {
    let bad = |name: &'static str, value: String, expected: &str| {
        Err(Error::Parameter { name, value, expected: expected.to_owned() })
    };
    let editing = matches!(request.task, Task::Edit { .. });
    if editing != (model.family() == Family::InstructPix2Pix) {
        let task = if editing { "edit" } else { "generate" };
        return bad("task", task.into(), &format!("what the model does, {:?}", model.family()));
    }
    if !(1..=MAX_STEPS).contains(&request.steps) {
        return bad("steps", request.steps.to_string(), "from 1 to 1000");
    }
    let factor = model.vae().config().factor() as u32;
    for (name, side) in [("width", request.width), ("height", request.height)] {
        if side == 0 || side > MAX_SIDE || side % factor != 0 {
            return bad(
                name,
                side.to_string(),
                &format!("a multiple of {factor} from {factor} to {MAX_SIDE}"),
            );
        }
    }
    for (name, scale) in
        [("guidance_text", request.guidance_text), ("guidance_image", request.guidance_image)]
    {
        if !scale.is_finite() || scale.abs() > 1000.0 {
            return bad(name, scale.to_string(), "a number from -1000 to 1000");
        }
    }
    if let Task::Edit { image } = &request.task {
        let expected = 3 * request.width as usize * request.height as usize;
        if image.len() != expected {
            let what = format!("3·height·width = {expected} values");
            return bad("image", format!("{} values", image.len()), &what);
        }
        expect_finite("image", image)?;
    }
    Ok(())
}

fn expect_finite(name: &'static str, values: &[f32]) -> Result<()> {
    match values.iter().position(|v| !v.is_finite()) {
        None => Ok(()),
        Some(i) => Err(Error::Parameter {
            name,
            value: format!("{} at position {i}", values[i]),
            expected: "finite values".into(),
        }),
    }
}

/// Refuses a row whose noise does not fit in memory: it is drawn in advance, in the order of the reference.
fn check_memory(shape: [i64; 4], draws: usize) -> Result<()> {
    let each = shape.iter().fold(4u64, |bytes, &side| bytes.saturating_mul(side.unsigned_abs()));
    let most = MAX_NOISE_BYTES / each.max(1);
    if draws as u64 >= most {
        return Err(Error::Parameter {
            name: "steps",
            value: format!("{draws} that each draw noise of {each} bytes"),
            expected: format!("fewer than {most} such steps, or a smaller image or another sampler"),
        });
    }
    Ok(())
}

/// The initial noise and the sampler's draws, all of `shape`, float32 on the CPU.
///
/// Drawn in the order in which diffusers draws them from a CPU generator: the initial latents first, then one tensor per
/// step.
fn draw(request: &RowRequest, shape: [i64; 4], draws: usize) -> Result<(Tensor, Vec<Tensor>)> {
    let Some(given) = &request.noise else {
        let mut noise = SeededNoise::new(request.seed);
        return Ok((noise.next(&shape), (0..draws).map(|_| noise.next(&shape)).collect()));
    };
    let size = shape.iter().product::<i64>() as usize;
    let mismatch = |name, have: usize, want: usize| Error::Parameter {
        name,
        value: format!("{have} values"),
        expected: format!("{want} values, tensors of the shape {shape:?}"),
    };
    if given.latents.len() != size {
        return Err(mismatch("noise.latents", given.latents.len(), size));
    }
    if given.steps.len() != size * draws {
        return Err(mismatch("noise.steps", given.steps.len(), size * draws));
    }
    expect_finite("noise.latents", &given.latents)?;
    expect_finite("noise.steps", &given.steps)?;
    let tensor = |values: &[f32]| Tensor::from_slice(values).view(shape);
    Ok((tensor(&given.latents), given.steps.chunks(size.max(1)).map(tensor).collect()))
}
