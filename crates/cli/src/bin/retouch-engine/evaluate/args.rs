//! The arguments of `retouch evaluate spatial`.

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Args, ValueEnum};
use retouch_diffusion::Device;
use retouch_evaluation::Row;
use retouch_scenes::Level;

use crate::args::Dtype;

/// Runs a model on the frozen suite of spatial edits and judges every result from its pixels.
///
/// The model sees the image and the instruction, nothing else; only the row `marked` gives it a box as well. Results that
/// are in the output folder already are kept, so that the same command goes on where it was interrupted.
#[derive(Args)]
pub(crate) struct EvaluateArgs {
    /// Model folder in the diffusers layout
    #[arg(long)]
    pub(super) model: PathBuf,
    /// Folder for results, scores and contact sheet
    #[arg(long)]
    pub(super) output: PathBuf,
    /// What to compare; all that the model can do if absent
    #[arg(long, value_delimiter = ',', value_parser = PossibleValuesParser::new(Row::ALL.map(Row::name)))]
    rows: Vec<String>,
    /// At most so many cases, evenly spread over the suite; all if absent
    #[arg(long)]
    pub(super) limit: Option<usize>,
    /// Cases of this level; all if absent
    #[arg(long, value_enum)]
    pub(super) level: Option<LevelArg>,
    /// Sampler steps, 1 to 1000
    #[arg(long, default_value_t = 20)]
    pub(super) steps: usize,
    /// Sampler; the model's own if absent
    #[arg(long, value_parser = PossibleValuesParser::new(crate::args::samplers()))]
    pub(super) sampler: Option<String>,
    /// Text guidance s_T
    #[arg(long, default_value_t = 7.5)]
    pub(super) guidance_text: f64,
    /// Image guidance s_I
    #[arg(long, default_value_t = 1.5)]
    pub(super) guidance_image: f64,
    /// Seed of the noise; each case has its own from there on
    #[arg(long, default_value_t = 0)]
    pub(super) seed: u64,
    /// Edits that share a forward pass
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(super) batch: u16,
    /// Cases on the contact sheet
    #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u16).range(1..=200))]
    pub(super) sheet: u16,
    /// Type of weights and forward passes
    #[arg(long, value_enum, default_value_t = Dtype::F32)]
    pub(super) dtype: Dtype,
    /// auto, cpu or cuda:N
    #[arg(long, default_value = "auto", value_parser = retouch_diffusion::parse_device)]
    pub(super) device: Device,
    /// Variant of the checkpoints, such as fp16
    #[arg(long)]
    pub(super) variant: Option<String>,
    /// CPU threads; all cores if absent
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(super) threads: Option<u16>,
    /// Print one JSON object instead of a table
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
pub(super) enum LevelArg {
    Easy,
    Middle,
    Hard,
}

impl From<LevelArg> for Level {
    fn from(level: LevelArg) -> Self {
        match level {
            LevelArg::Easy => Self::Easy,
            LevelArg::Middle => Self::Middle,
            LevelArg::Hard => Self::Hard,
        }
    }
}

impl EvaluateArgs {
    /// The rows that were asked for and that a model can answer, in the order of the results.
    pub(super) fn rows(&self, has_spatial_layer: bool) -> Vec<Row> {
        let asked = |row: &Row| self.rows.is_empty() || self.rows.iter().any(|name| name == row.name());
        let can = |row: &Row| has_spatial_layer || !row.manner().is_some_and(|manner| manner.spatial);
        Row::ALL.into_iter().filter(|row| asked(row) && can(row)).collect()
    }
}
