//! `retouch scenes`: edit pairs of rendered scenes, as a data set or as a contact sheet.

mod blend;
mod dataset;
mod preview;
mod render;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use retouch_imaging::{EncodeOptions, OutputFormat, RgbImage, encode};
use retouch_instruction::PhraseSet;
use retouch_scenes::{Kind, Level, PairOptions, SceneError, Split};
use serde::Serialize;

use retouch_cli::failure::{Blame, Failure, chain};

/// Scenes: what they show, edits on them in words, and the exact truth about both.
///
/// Exit status: 0 done, 1 the program failed, 2 wrong usage or parameters, 3 an output file is at fault,
/// 69 Blender is asked for and does not start.
#[derive(Subcommand)]
pub(crate) enum Scenes {
    /// Write edit pairs: images before and after, instruction, captions, scenes and truth
    Render(RenderArgs),
    /// Draw a contact sheet of edit pairs with their instructions
    Preview(PreviewArgs),
}

#[derive(Args)]
pub(crate) struct RenderArgs {
    /// Folder to write to; pairs of the same parameters that are there already are kept
    #[arg(long)]
    pub(crate) output: PathBuf,
    /// How many pairs
    #[arg(long, default_value_t = 100)]
    pub(crate) count: u64,
    /// Pixels a side
    #[arg(long, default_value_t = 128, value_parser = clap::value_parser!(u32).range(32..=1024))]
    pub(crate) size: u32,
    /// What draws the images; masks and truth are the ray caster's, with which Blender's outlines agree
    #[arg(long, value_enum, default_value_t = Backend::RayCaster)]
    pub(crate) backend: Backend,
    /// Blender's executable, for --backend blender
    #[arg(long, default_value = "blender")]
    pub(crate) blender: PathBuf,
    /// Light paths per pixel, for --backend blender
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=65536))]
    pub(crate) samples: u32,
    /// CPU threads of the ray caster; all cores if absent
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,
    #[command(flatten)]
    pub(crate) sampling: SamplingArgs,
}

#[derive(Args)]
pub(crate) struct PreviewArgs {
    /// PNG to write
    #[arg(long)]
    pub(crate) output: PathBuf,
    /// How many pairs
    #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u64).range(1..=1000))]
    pub(crate) count: u64,
    /// Pixels a side of each image
    #[arg(long, default_value_t = 160, value_parser = clap::value_parser!(u32).range(64..=512))]
    pub(crate) size: u32,
    /// Pairs side by side
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=20))]
    pub(crate) columns: u32,
    #[command(flatten)]
    pub(crate) sampling: SamplingArgs,
}

#[derive(Args)]
pub(crate) struct SamplingArgs {
    /// Seed of the first pair; the one after it has the next seed
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
    /// Combinations of colour, shape and operation that are sampled
    #[arg(long, value_enum, default_value_t = SplitArg::Train)]
    split: SplitArg,
    /// How hard the edits are; all levels if absent
    #[arg(long, value_enum)]
    level: Option<LevelArg>,
    /// Kinds of edits, separated by commas; all if absent
    #[arg(long, value_delimiter = ',', value_parser = parse_kind)]
    kinds: Vec<Kind>,
    /// Language of the instructions; all if absent
    #[arg(long, value_enum)]
    language: Option<LanguageArg>,
    /// Phrases that the instructions are written from
    #[arg(long, value_enum, default_value_t = PhrasesArg::Training)]
    phrases: PhrasesArg,
    /// Print one JSON object instead of text
    #[arg(long)]
    pub(crate) json: bool,
}

/// What draws the images.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Backend {
    RayCaster,
    Blender,
}

#[derive(Clone, Copy, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
enum SplitArg {
    Train,
    HeldOut,
}

#[derive(Clone, Copy, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
enum LevelArg {
    Easy,
    Middle,
    Hard,
}

#[derive(Clone, Copy, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
enum LanguageArg {
    English,
    Vietnamese,
    /// Vietnamese without diacritics
    VietnameseUnaccented,
}

#[derive(Clone, Copy, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
enum PhrasesArg {
    Training,
    Suite,
}

fn parse_kind(text: &str) -> Result<Kind, String> {
    let name =
        |kind: &Kind| serde_json::to_value(kind).ok().and_then(|value| Some(value.as_str()?.to_owned()));
    let names = || Kind::ALL.iter().filter_map(name).collect::<Vec<_>>().join(", ");
    let wanted = text.trim().replace('-', "_");
    let known = Kind::ALL.into_iter().find(|kind| name(kind).is_some_and(|name| name == wanted));
    known.ok_or_else(|| format!("expected one of {}", names()))
}

impl SamplingArgs {
    fn options(&self) -> PairOptions {
        let defaults = PairOptions::default();
        let mut weights = defaults.weights;
        if !self.kinds.is_empty() {
            for (kind, weight) in Kind::ALL.iter().zip(&mut weights) {
                *weight = if self.kinds.contains(kind) { *weight } else { 0.0 };
            }
        }
        let languages = match self.language {
            None => defaults.languages,
            Some(LanguageArg::English) => [1.0, 0.0, 0.0],
            Some(LanguageArg::Vietnamese) => [0.0, 1.0, 0.0],
            Some(LanguageArg::VietnameseUnaccented) => [0.0, 0.0, 1.0],
        };
        PairOptions {
            split: match self.split {
                SplitArg::Train => Split::Train,
                SplitArg::HeldOut => Split::HeldOut,
            },
            level: self.level.map(|level| match level {
                LevelArg::Easy => Level::Easy,
                LevelArg::Middle => Level::Middle,
                LevelArg::Hard => Level::Hard,
            }),
            weights,
            languages,
            phrases: match self.phrases {
                PhrasesArg::Training => PhraseSet::Training,
                PhrasesArg::Suite => PhraseSet::Suite,
            },
            ..defaults
        }
    }

    /// What decides the pairs, as it is stored beside them.
    fn described(&self) -> serde_json::Value {
        serde_json::json!({
            "seed": self.seed, "split": self.split, "level": self.level, "kinds": self.kinds,
            "language": self.language, "phrases": self.phrases,
        })
    }
}

/// Runs a command and reports.
pub(crate) fn run(command: &Scenes) -> ExitCode {
    let (json, result) = match command {
        Scenes::Render(args) => (args.sampling.json, render::run(args)),
        Scenes::Preview(args) => (args.sampling.json, preview::run(args)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(json),
    }
}

fn scene_failure(error: &SceneError) -> Failure {
    // Sampled scenes are valid: what is not is a fault of the sampler.
    Failure::new(Blame::Program, error.code(), chain(error))
}

fn png(image: &RgbImage) -> Result<Vec<u8>, Failure> {
    encode(image, &EncodeOptions::new(OutputFormat::Png), None)
        .map_err(|error| Failure::new(Blame::Program, error.code(), chain(&error)))
}
