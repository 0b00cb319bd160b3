//! The engine that denoises rows of images, one forward pass at a time.
//!
//! Not a `generate()` call: the caller chooses before every forward which rows share it, so rows join and leave between
//! steps. A row goes through the stages [`Stage::Admitted`] → [`Stage::Denoising`] → [`Stage::Denoised`] →
//! [`Stage::Decoded`]; encoding and decoding are batches of their own.
//!
//! ```text
//! admit ──> encode ──> step … step ──> decode ──> take
//!                        │  ▲
//!                   export  admit (with the exported state, here or on another machine)
//! ```

use std::error::Error as StdError;
use std::time::Duration;

/// A row inside one engine. Never reused within a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RowId(pub u64);

/// What a row makes an image from.
#[derive(Debug, Clone, PartialEq)]
pub enum Task {
    /// Edit an image by an instruction: three-branch guidance.
    Edit {
        /// The input image, planar `[3, height, width]`, values in −1..1.
        image: Vec<f32>,
    },
    /// Make an image from a caption: classic guidance.
    Generate,
}

/// Noise that replaces what the seed would draw: tensors of unit variance, row-major.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct GivenNoise {
    /// The initial noise `[C, h/f, w/f]`.
    pub latents: Vec<f32>,
    /// One tensor of the same shape for each draw of an ancestral sampler, one after the other.
    pub steps: Vec<f32>,
}

/// How the guidance scales apply.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Guidance {
    /// As they are, at every step; a negative prompt takes the place of the empty one.
    Fixed,
    /// Following the instruction and the image as it emerges.
    Dynamic(DynamicGuidance),
}

/// Settings of guidance that follows the row.
///
/// The text scale s_T is first adapted to the complexity of the instruction. One part of it is constant, feedback
/// guidance adds the rest as it is needed. A negative prompt acts as far as the image is likely to follow it. Noise levels
/// are σ = √((1−ᾱ)/ᾱ), noise over image; times are from 1, the first step, to 0, the last.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DynamicGuidance {
    /// Guidance is on at noise levels above the first and up to the second. Elsewhere only the full condition is
    /// evaluated.
    pub interval: (f64, f64),
    /// What s_T − 1 is multiplied by for an instruction of complexity 0 and for one of complexity 1.
    pub prior: (f64, f64),
    /// Part of the adapted s_T − 1 that is constant, 0 to 1.
    pub constant: f64,
    /// Largest text scale: this times the adapted s_T − 1, plus 1; at least `constant`.
    pub max: f64,
    /// Feedback guidance's π: how far the network is trusted to know the text, above 0 and below 1.
    pub pi: f64,
    /// Time at which a row that gets no feedback has reached a text scale of 3, 0 to below 1.
    pub t0: f64,
    /// Time around which feedback counts most, 0 to 1.
    pub t1: f64,
    /// For a negative prompt.
    pub negative: NegativeGuidance,
}

/// Settings of dynamic negative guidance: its scale is λ·p/(1−p) for the posterior p that the image follows the negative
/// prompt.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NegativeGuidance {
    /// λ.
    pub scale: f64,
    /// p before the first step, above 0 and up to `max`.
    pub prior: f64,
    /// How much a step's evidence counts; 1 is Bayes' rule.
    pub temperature: f64,
    /// What each step adds to the evidence.
    pub offset: f64,
    /// Largest p, below 1.
    pub max: f64,
}

impl Default for DynamicGuidance {
    /// The interval that Kynkäänniemi et al. 2024 (arXiv 2404.07724) use for Stable Diffusion XL, whose noise levels are
    /// those of Stable Diffusion; π, t0 and t1 of FBG_using_edm2@0049f95.
    fn default() -> Self {
        Self {
            interval: (0.28, 5.42),
            prior: (2.0 / 3.0, 4.0 / 3.0),
            constant: 0.5,
            max: 4.0 / 3.0,
            pi: 0.999,
            t0: 0.556,
            t1: 0.429,
            negative: NegativeGuidance::default(),
        }
    }
}

impl Default for NegativeGuidance {
    /// The example of Dynamic-Negative-Guidance@9bd4838 `README.md`.
    fn default() -> Self {
        Self { scale: 5.0, prior: 0.01, temperature: 0.2, offset: 2e-4, max: 0.8 }
    }
}

/// Everything that determines one image.
#[derive(Debug, Clone, PartialEq)]
pub struct RowRequest {
    /// Edit or generate.
    pub task: Task,
    /// The instruction or caption.
    pub prompt: String,
    /// What the result should not show; empty for none.
    pub negative: String,
    /// Width of the result in pixels, a multiple of the VAE's factor.
    pub width: u32,
    /// Height of the result in pixels, a multiple of the VAE's factor.
    pub height: u32,
    /// Sampler steps.
    pub steps: usize,
    /// The sampler by name; `None` is the one that the model's own configuration names.
    pub sampler: Option<String>,
    /// How σ is interpolated: `linear` (diffusers) or `log` (k-diffusion); `None` as the model says.
    pub sigma_interp: Option<String>,
    /// Karras' σ spacing; `None` as the model says.
    pub karras: Option<bool>,
    /// Text guidance s_T; off at 1 and below.
    pub guidance_text: f64,
    /// Image guidance s_I; below 1 all guidance is off. Unused by [`Task::Generate`].
    pub guidance_image: f64,
    /// Whether these two hold for every step.
    pub guidance: Guidance,
    /// What the prompt asks for, as the JSON of `retouch_instruction::Intents`; `None` to read it from the prompt.
    pub intents: Option<String>,
    /// Whether a model that has a spatial layer uses it. Unused by [`Task::Generate`].
    pub spatial: bool,
    /// Where the subject of the first intent is, if the user marks it, for the spatial layer: left, top, right and bottom
    /// edge as fractions of the image.
    pub source_box: Option<[f64; 4]>,
    /// Layers to skip at the end of the text encoder.
    pub clip_skip: Option<u32>,
    /// Seed of the noise; means what it means in diffusers on the CPU.
    pub seed: u64,
    /// Noise instead of the seed's.
    pub noise: Option<GivenNoise>,
}

/// How the rows of a gang act on each other's attention.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum GangControl {
    /// Not at all.
    Independent,
    /// All rows use the first row's self-attention pattern while `threshold > i / (steps − 1)`, `i` being the step: the
    /// form of Prompt-to-Prompt that InstructPix2Pix's pairs are made with.
    SelfAttentionCopy {
        /// 0 for never, above 1 for always.
        threshold: f64,
    },
}

/// 1 to 4 rows that are always in the same forward.
#[derive(Debug, Clone, PartialEq)]
pub struct Gang {
    /// The rows, of one size.
    pub rows: Vec<AdmittedRow>,
    /// Their attention control.
    pub control: GangControl,
}

/// A row to admit: new, or with the state that another engine exported.
#[derive(Debug, Clone, PartialEq)]
pub struct AdmittedRow {
    /// What to make.
    pub request: RowRequest,
    /// An export of the same request. One of another model or format version restarts at step 0.
    pub resume: Option<Vec<u8>>,
}

impl Gang {
    /// A single new row.
    pub fn single(request: RowRequest) -> Self {
        Self { rows: vec![AdmittedRow { request, resume: None }], control: GangControl::Independent }
    }
}

/// How far a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Waits for [`StepEngine::encode`].
    Admitted,
    /// Takes part in [`StepEngine::step`].
    Denoising,
    /// Waits for [`StepEngine::decode`].
    Denoised,
    /// Waits for [`StepEngine::take`].
    Decoded,
}

/// A row's account of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowStatus {
    /// The row.
    pub id: RowId,
    /// The rows of its gang, itself included.
    pub gang: Vec<RowId>,
    /// How far it is.
    pub stage: Stage,
    /// Forwards done.
    pub forward: usize,
    /// Forwards in all; a sampler may need more of them than steps.
    pub forwards: usize,
    /// Branches that its next forward evaluates.
    pub branches: usize,
    /// Rows of the same group can share a forward: width and height in pixels.
    pub group: (u32, u32),
}

/// A finished row.
#[derive(Debug, Clone, PartialEq)]
pub struct Output {
    /// The image, planar `[3, height, width]`, values in 0..1.
    pub image: Vec<f32>,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// The final latents of shape [`Output::latent_shape`], scaled.
    pub latents: Vec<f32>,
    /// `[C, h/f, w/f]`.
    pub latent_shape: [usize; 3],
    /// The latents of the input image in the same shape, unscaled; empty for [`Task::Generate`].
    pub image_latents: Vec<f32>,
    /// The text embeddings of the prompt, of shape [`Output::text_shape`].
    pub text_embeds: Vec<f32>,
    /// `[n, d]`.
    pub text_shape: [usize; 2],
    /// UNet evaluations that this engine spent on the row, one per branch.
    pub evaluations: usize,
    /// The part of the prompt that did not fit the text encoder, if any.
    pub truncated: Option<String>,
}

/// Room in an engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    /// Rows that fit in all.
    pub rows: usize,
    /// Rows that are in it.
    pub used: usize,
}

/// Whether an exclusive unit has more to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnitProgress {
    /// Call again.
    More,
    /// Finished.
    Done,
}

/// A failure of the engine, by kind.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct EngineError {
    /// What the caller can do about it.
    pub kind: EngineErrorKind,
    /// Stable name of the exact failure.
    pub code: &'static str,
    /// What, where, and what to do.
    pub message: String,
    /// The rows to blame, where they are known; they stay in the engine until canceled.
    pub rows: Vec<RowId>,
    /// The cause.
    #[source]
    pub source: Option<Box<dyn StdError + Send + Sync>>,
}

/// What a caller can do about an [`EngineError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EngineErrorKind {
    /// The request is at fault: it fails again wherever it runs.
    Invalid,
    /// No room, or no row of that id.
    Unavailable,
    /// The device's memory does not suffice for this many rows at once.
    OutOfMemory,
    /// A row's values became NaN or infinite.
    NonFinite,
    /// Anything else.
    Internal,
}

/// Denoises rows. One thread owns an engine and with it the device.
pub trait StepEngine {
    /// Room for rows.
    fn capacity(&self) -> Capacity;

    /// Takes in a gang and draws its noise; the ids are in the order of its rows. All or nothing.
    fn admit(&mut self, gang: Gang) -> Result<Vec<RowId>, EngineError>;

    /// All rows in order of admission.
    fn rows(&self) -> Vec<RowStatus>;

    /// Encodes text and image of admitted rows, one after the other: on an error the rows before it are encoded.
    fn encode(&mut self, rows: &[RowId]) -> Result<(), EngineError>;

    /// One forward pass for all branches of `rows`, which must be [`Stage::Denoising`], of one group, and whole gangs.
    ///
    /// An error leaves every row where it was before the call.
    fn step(&mut self, rows: &[RowId]) -> Result<(), EngineError>;

    /// Decodes denoised rows, one after the other: on an error the rows before it are decoded.
    fn decode(&mut self, rows: &[RowId]) -> Result<(), EngineError>;

    /// Hands out a decoded row and forgets it.
    fn take(&mut self, row: RowId) -> Result<Output, EngineError>;

    /// The whole state of an encoded row after its last forward; the row stays. To continue it elsewhere, admit it there
    /// with its request, and cancel it here.
    fn export(&self, row: RowId) -> Result<Vec<u8>, EngineError>;

    /// Forgets a row and, as they cannot go on without it, the unfinished rows of its gang; the ids that went.
    fn cancel(&mut self, row: RowId) -> Result<Vec<RowId>, EngineError>;

    /// Gives the device to `unit` for one slice, which it should end after about the time it is given (at most 2 s).
    fn exclusive(
        &mut self,
        unit: &mut dyn FnMut(Duration) -> UnitProgress,
        slice: Duration,
    ) -> Result<UnitProgress, EngineError>;
}
