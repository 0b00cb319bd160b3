//! Trainings as a whole, on a recipe so small that all of its stages take seconds.

mod data;
mod resume;
mod whole;

use std::path::Path;
use std::sync::Arc;

use retouch_diffusion::training::{
    Example, Examples, Outcome, Picture, Recipe, Report, StageName, Stop, Training, TrainingError,
    TrainingOptions,
};
use retouch_diffusion::{Device, Kind};

/// Side of the pictures.
const SIDE: u32 = 16;

/// A square of one colour on grey, which an instruction moves to the other side.
pub(super) struct Squares;

impl Examples for Squares {
    fn len(&self) -> Option<u64> {
        None
    }

    fn get(&self, index: u64) -> Result<Example, String> {
        let (colour, name) = [([220, 30, 30], "red"), ([30, 60, 220], "blue")][(index % 2) as usize];
        let left = (index / 2).is_multiple_of(2);
        let at = |left: bool| if left { ("left", 1) } else { ("right", 9) };
        let ((from, before), (to, after)) = (at(left), at(!left));
        Ok(Example {
            before: square(before, colour),
            after: square(after, colour),
            instruction: format!("move the {name} square to the {to}"),
            caption_before: format!("a {name} square on the {from}"),
            caption_after: format!("a {name} square on the {to}"),
        })
    }
}

fn square(left: u32, colour: [u8; 3]) -> Picture {
    let inside = |x: u32, y: u32| (left..left + 6).contains(&x) && (5..11).contains(&y);
    let pixel = |i: u32| if inside(i % SIDE, i / SIDE) { colour } else { [128; 3] };
    Picture { size: SIDE, rgb: (0..SIDE * SIDE).flat_map(pixel).collect() }
}

/// The test's recipe; `text` replaces parts of it.
pub(super) fn recipe(folder: &Path, replace: &[(&str, &str)]) -> Result<Recipe, TrainingError> {
    let mut text = include_str!("recipe.toml").to_owned();
    for (from, to) in replace {
        assert!(text.contains(from), "the recipe has no {from:?}");
        text = text.replace(from, to);
    }
    let path = folder.join("recipe.toml");
    std::fs::write(&path, text).expect("writable");
    Recipe::read(&path)
}

pub(super) fn options() -> TrainingOptions {
    TrainingOptions { device: Device::Cpu, kind: Kind::Float, example_threads: 2 }
}

/// Opens a training of [`Squares`] in `folder/work`.
pub(super) fn open(folder: &Path) -> Training {
    Training::open(
        recipe(folder, &[]).expect("a usable recipe"),
        &folder.join("work"),
        options(),
        Arc::new(Squares),
    )
    .expect("a usable recipe")
}

/// Runs every stage to its end; the reports with a loss, by stage.
pub(super) fn finish(training: &Training) -> Vec<(StageName, f64)> {
    let mut losses = Vec::new();
    for stage in training.stages() {
        let outcome = training.run(stage, &mut |stage, report| {
            losses.extend(report.loss.map(|loss| (stage, loss)));
            Ok(())
        });
        assert_eq!(outcome.expect("a training that works"), Outcome::Done);
    }
    losses
}

/// A watch that asks to stop after `steps` steps.
pub(super) fn stop_after(mut steps: u64) -> impl FnMut(StageName, &Report) -> Result<(), Stop> {
    move |_, _| {
        steps = steps.saturating_sub(1);
        if steps == 0 { Err(Stop) } else { Ok(()) }
    }
}
