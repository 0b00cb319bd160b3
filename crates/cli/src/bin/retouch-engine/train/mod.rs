//! `retouch train`: a recipe's stages, one after the other, with a bar for each.

mod args;
mod folder;
mod plot;
mod scenes;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use retouch_diffusion::training::{
    Examples, Outcome, Recipe, Report, StageName, Stop, Training, TrainingError, TrainingOptions,
};
use serde_json::json;

pub(crate) use args::TrainArgs;

use self::args::Until;
use crate::args::Dtype;
use crate::failure::{Blame, Failure};
use crate::report::print;

/// Trains, and assembles the model folders that were asked for.
pub(crate) fn run(args: &TrainArgs) -> Result<(), Failure> {
    if let Some(threads) = args.threads {
        retouch_diffusion::set_threads(threads);
    }
    let options = TrainingOptions {
        device: args.device,
        kind: args.dtype.kind(),
        example_threads: usize::from(args.example_threads),
    };
    if matches!(args.dtype, Dtype::F16) {
        let message = "small gradients vanish in float16: use --dtype bf16 or f32";
        return Err(Failure::new(Blame::Parameters, "parameter_invalid", message.into()));
    }
    let recipe = Recipe::read(&args.recipe)?;
    let examples: Arc<dyn Examples> = match &args.data {
        Some(folder) => Arc::new(folder::Folder::open(folder, recipe.size)?),
        // Seeds of other recipes' pairs are far away.
        None => Arc::new(scenes::Scenes { size: recipe.size, first_seed: recipe.seed << 32 }),
    };
    let training = Training::open(recipe, &args.work, options, examples)?;
    let wanted = [
        ("--editor", StageName::Editor, &args.editor),
        ("--text-to-image", StageName::TextToImage, &args.text_to_image),
        ("--clip", StageName::Clip, &args.clip),
    ];
    let wanted: Vec<_> = wanted
        .into_iter()
        .filter_map(|(flag, stage, output)| Some((flag, stage, output.as_deref()?)))
        .collect();
    for (flag, stage, _) in &wanted {
        check_reached(&training, flag, *stage, args.until)?;
    }
    let interrupted = interruptible()?;
    for stage in training.stages() {
        if train(&training, stage, args.json, &interrupted)? == Outcome::Stopped {
            let message = format!("stopped in stage `{}`; the same command goes on from there", stage.name());
            return Err(Failure::new(Blame::Engine, "training_stopped", message));
        }
        if args.until == Some(Until(stage)) {
            break;
        }
    }
    for (_, stage, output) in wanted {
        training.assemble(stage, output)?;
        let done = json!({ "stage": stage.name(), "model": output });
        if args.json {
            print(&done)?
        } else {
            print(&format_args!("{}: {}", stage.name(), output.display()))?
        }
    }
    Ok(())
}

/// Refuses a model that this training will not make: known now, not after hours.
fn check_reached(
    training: &Training,
    flag: &str,
    stage: StageName,
    until: Option<Until>,
) -> Result<(), Failure> {
    let stages: Vec<StageName> = training.stages().collect();
    let end = stages.iter().position(|reached| until == Some(Until(*reached)));
    let reached = &stages[..end.map_or(stages.len(), |end| end + 1)];
    if training.is_done(stage) || reached.contains(&stage) {
        return Ok(());
    }
    let name = stage.name();
    let message = format!("{flag}: stage `{name}` is not in the recipe, or comes after --until");
    Err(Failure::new(Blame::Parameters, "parameter_invalid", message))
}

fn train(
    training: &Training,
    stage: StageName,
    json: bool,
    interrupted: &AtomicBool,
) -> Result<Outcome, Failure> {
    if training.is_done(stage) {
        return Ok(Outcome::Done);
    }
    let bar = if json { ProgressBar::hidden() } else { bar(stage) };
    let mut failed = None;
    let outcome = training.run(stage, &mut |stage, report| {
        bar.set_length(report.steps);
        bar.set_position(report.step);
        if let Some(loss) = report.loss {
            bar.set_message(format!("loss {loss:.4}"));
            failed = if json { line(stage, report, loss).err() } else { None };
        }
        if failed.is_some() || interrupted.load(Ordering::Relaxed) { Err(Stop) } else { Ok(()) }
    });
    bar.finish();
    if let Some(failure) = failed {
        return Err(failure);
    }
    let outcome = outcome?;
    plot::losses(&training.metrics(stage))?;
    Ok(outcome)
}

fn line(stage: StageName, report: &Report, loss: f64) -> Result<(), Failure> {
    print(&json!({ "stage": stage.name(), "step": report.step, "steps": report.steps, "loss": loss }))
}

/// A bar on standard error, where that is a terminal.
fn bar(stage: StageName) -> ProgressBar {
    let rate = |state: &ProgressState, text: &mut dyn std::fmt::Write| {
        // A bar that cannot be drawn is no reason to stop.
        let _ = write!(text, "{:.2}/s", state.per_sec());
    };
    let style = ProgressStyle::with_template("{prefix:13} {bar:30} {pos}/{len}, {rate}, {eta} left {msg}")
        .expect("the template is constant")
        .with_key("rate", rate);
    ProgressBar::new(0).with_style(style).with_prefix(stage.name())
}

/// Becomes true when the user or the system asks the process to end; the second time it ends at once.
fn interruptible() -> Result<Arc<AtomicBool>, Failure> {
    let asked = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        // In this order: the first signal finds the flag down, and only then raises it.
        signal_hook::flag::register_conditional_shutdown(signal, 130, asked.clone())
            .and_then(|_| signal_hook::flag::register(signal, asked.clone()))
            .map_err(|e| {
                Failure::new(Blame::Engine, "signals_unavailable", format!("cannot watch signals: {e}"))
            })?;
    }
    Ok(asked)
}

impl From<TrainingError> for Failure {
    fn from(error: TrainingError) -> Self {
        let blame = match error {
            TrainingError::Engine(error) => return error.into(),
            TrainingError::Recipe { .. }
            | TrainingError::OtherRecipe { .. }
            | TrainingError::StageMissing { .. } => Blame::Parameters,
            TrainingError::State { .. }
            | TrainingError::Data { .. }
            | TrainingError::NoExamples
            | TrainingError::File { .. } => Blame::File,
            TrainingError::Diverged { .. } => Blame::Engine,
        };
        Self::new(blame, error.code(), crate::failure::chain(&error))
    }
}
