//! `retouch evaluate`: how well a model edits, and how far its judge is to be trusted.

mod detector;

use std::ffi::OsString;
use std::num::NonZeroU16;
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use retouch_scenes::Level;

/// How well a model edits.
#[derive(Subcommand)]
pub(crate) enum Evaluate {
    /// Run a model on the frozen suite of spatial edits: `retouch evaluate spatial --help`
    #[command(disable_help_flag = true)]
    Spatial {
        /// Arguments of the evaluation.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
    /// Measure the detector's own error, on right and wrong results planted in the suite
    Detector(DetectorArgs),
}

#[derive(Args)]
pub(crate) struct DetectorArgs {
    /// At most so many cases of the suite, evenly spread; all if absent
    #[arg(long)]
    limit: Option<usize>,
    /// Cases of this level; all if absent
    #[arg(long, value_enum)]
    level: Option<LevelArg>,
    /// CPU threads; all cores if absent
    #[arg(long)]
    threads: Option<NonZeroU16>,
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum LevelArg {
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

/// Measures the detector and reports.
pub(crate) fn detector(args: &DetectorArgs) -> ExitCode {
    match detector::run(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(args.json),
    }
}
