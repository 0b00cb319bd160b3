//! The arguments. Names, defaults and exit statuses are stable.

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Args, Parser, Subcommand, ValueEnum};
use retouch_cli::services::up::UpArgs;
use retouch_cli::services::worker::WorkerArgs;
use retouch_diffusion::Device;
use retouch_diffusion::samplers::SamplerKind;
use retouch_ports::step_engine::{DynamicGuidance, Guidance};

use crate::evaluate::EvaluateArgs;
use crate::train::TrainArgs;

/// The edit engine of retouch.
///
/// Exit status: 0 done, 1 the engine failed, 2 wrong usage or parameters, 3 an input or output file is at fault, 4 the
/// model is at fault, 5 out of memory.
#[derive(Parser)]
#[command(name = "retouch engine", bin_name = "retouch engine", version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Edit an image by an instruction
    Edit(EditArgs),
    /// Make an image from a caption
    Generate(GenerateArgs),
    /// Print what a model is
    Info(InfoArgs),
    /// Run a model on the frozen suite of spatial edits
    Evaluate(EvaluateArgs),
    /// Train the networks of a recipe
    Train(TrainArgs),
    /// `retouch up`
    #[command(hide = true)]
    Up(UpArgs),
    /// `retouch worker`
    #[command(hide = true)]
    Worker(WorkerArgs),
}

#[derive(Args)]
pub(crate) struct EditArgs {
    /// Image to edit: JPEG, PNG or WebP
    #[arg(long)]
    pub(crate) image: PathBuf,
    /// What to change
    #[arg(long)]
    pub(crate) instruction: String,
    /// Image guidance s_I: how closely the result follows the image; below 1 all guidance is off
    #[arg(long, default_value_t = 1.5)]
    pub(crate) guidance_image: f64,
    /// How the image is sized when --size is absent: as diffusers does, or as the original script does
    #[arg(long, value_enum, default_value_t = Fit::Diffusers)]
    pub(crate) fit: Fit,
    /// Longer side that --fit original sizes to
    #[arg(long, default_value_t = 512)]
    pub(crate) resolution: u32,
    /// Whether a model that has a spatial layer uses it
    #[arg(long, value_enum, default_value_t = Switch::On)]
    pub(crate) spatial: Switch,
    /// Where the thing to edit is, for the spatial layer: LEFT,TOP,RIGHT,BOTTOM as fractions of the image
    #[arg(long, value_name = "BOX", value_parser = parse_box)]
    pub(crate) source_box: Option<[f64; 4]>,
    /// Return the result in the size of the input image
    #[arg(long)]
    pub(crate) input_size: bool,
    #[command(flatten)]
    pub(crate) common: CommonArgs,
}

#[derive(Args)]
pub(crate) struct GenerateArgs {
    /// What the image shows
    #[arg(long)]
    pub(crate) prompt: String,
    #[command(flatten)]
    pub(crate) common: CommonArgs,
}

#[derive(Args)]
pub(crate) struct CommonArgs {
    /// Model folder in the diffusers layout
    #[arg(long)]
    pub(crate) model: PathBuf,
    /// Where to write the result; the extension (png, jpg, webp) says the format
    #[arg(long)]
    pub(crate) output: PathBuf,
    /// Sampler steps, 1 to 1000
    #[arg(long, default_value_t = 20)]
    pub(crate) steps: usize,
    /// Sampler; the model's own if absent
    #[arg(long, value_parser = PossibleValuesParser::new(samplers()))]
    pub(crate) sampler: Option<String>,
    /// Interpolation of noise levels: linear (diffusers) or log (k-diffusion)
    #[arg(long, value_parser = ["linear", "log"])]
    pub(crate) sigma_interp: Option<String>,
    /// Karras' spacing of noise levels; as the model says if absent
    #[arg(long, num_args = 0..=1, default_missing_value = "true")]
    pub(crate) karras: Option<bool>,
    /// Text guidance s_T: how closely the result follows the text; off at 1 and below
    #[arg(long, default_value_t = 7.5)]
    pub(crate) guidance_text: f64,
    /// Whether text guidance is the same at every step or follows the instruction and the emerging image
    #[arg(long, value_enum, default_value_t = GuidanceKind::Fixed)]
    pub(crate) guidance: GuidanceKind,
    /// What the result should not show
    #[arg(long, default_value = "")]
    pub(crate) negative: String,
    /// What the text asks for, as JSON, instead of reading it from the text
    #[arg(long, value_name = "JSON")]
    pub(crate) intents: Option<String>,
    /// Layers to skip at the end of the text encoder
    #[arg(long)]
    pub(crate) clip_skip: Option<u32>,
    /// Seed of the noise; chosen and printed if absent
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// Size of the result, WIDTHxHEIGHT
    #[arg(long, value_parser = parse_size)]
    pub(crate) size: Option<(u32, u32)>,
    /// Type of weights and forward passes
    #[arg(long, value_enum, default_value_t = Dtype::F32)]
    pub(crate) dtype: Dtype,
    /// auto, cpu or cuda:N
    #[arg(long, default_value = "auto", value_parser = retouch_diffusion::parse_device)]
    pub(crate) device: Device,
    /// Variant of the checkpoints, such as fp16
    #[arg(long)]
    pub(crate) variant: Option<String>,
    /// Noise to use instead of the seed's: safetensors with `latents` [1,C,h/f,w/f] and, for ancestral samplers, `steps`
    #[arg(long)]
    pub(crate) noise: Option<PathBuf>,
    /// Write text_embeds, image_latents, latents and image as float32 safetensors
    #[arg(long)]
    pub(crate) dump: Option<PathBuf>,
    /// Quality of JPEG and WebP, 1 to 100
    #[arg(long, default_value_t = 95, value_parser = clap::value_parser!(u8).range(1..=100))]
    pub(crate) quality: u8,
    /// CPU threads; all cores if absent
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
pub(crate) struct InfoArgs {
    /// Model folder in the diffusers layout
    #[arg(long)]
    pub(crate) model: PathBuf,
    /// Type that memory is counted for
    #[arg(long, value_enum, default_value_t = Dtype::F32)]
    pub(crate) dtype: Dtype,
    /// Variant of the checkpoints, such as fp16
    #[arg(long)]
    pub(crate) variant: Option<String>,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Fit {
    Diffusers,
    Original,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Switch {
    On,
    Off,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum GuidanceKind {
    Fixed,
    Dynamic,
}

impl GuidanceKind {
    pub(crate) fn guidance(self) -> Guidance {
        match self {
            GuidanceKind::Fixed => Guidance::Fixed,
            GuidanceKind::Dynamic => Guidance::Dynamic(DynamicGuidance::default()),
        }
    }
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Dtype {
    F32,
    Bf16,
    F16,
}

impl Dtype {
    pub(crate) fn kind(self) -> retouch_diffusion::Kind {
        match self {
            Dtype::F32 => retouch_diffusion::Kind::Float,
            Dtype::Bf16 => retouch_diffusion::Kind::BFloat16,
            Dtype::F16 => retouch_diffusion::Kind::Half,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Dtype::F32 => "f32",
            Dtype::Bf16 => "bf16",
            Dtype::F16 => "f16",
        }
    }
}

fn parse_size(text: &str) -> Result<(u32, u32), String> {
    let parsed = text.split_once('x').and_then(|(w, h)| Some((w.parse().ok()?, h.parse().ok()?)));
    parsed.ok_or_else(|| "expected WIDTHxHEIGHT, such as 512x512".to_owned())
}

fn parse_box(text: &str) -> Result<[f64; 4], String> {
    let edges: Option<Vec<f64>> = text.split(',').map(|edge| edge.trim().parse().ok()).collect();
    let edges = edges.and_then(|edges| edges.try_into().ok());
    edges.ok_or_else(|| "expected LEFT,TOP,RIGHT,BOTTOM, such as 0.1,0.2,0.4,0.6".to_owned())
}

/// The samplers that make images; the inverse of DDIM makes noise of one.
pub(crate) fn samplers() -> impl Iterator<Item = &'static str> {
    SamplerKind::ALL.into_iter().filter(|kind| *kind != SamplerKind::DdimInverse).map(SamplerKind::name)
}
