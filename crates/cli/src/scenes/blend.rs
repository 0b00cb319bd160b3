//! `retouch scenes render --backend blender`: the images are Blender's, a few pairs in each of its runs.

use std::sync::atomic::Ordering;

use indicatif::ProgressBar;
use retouch_scenes::{Blender, BlenderError, PairOptions, Renderer, Scene};

use super::RenderArgs;
use super::dataset::Dataset;
use super::render::{Drawn, Tally, draw};
use retouch_cli::failure::{Blame, Failure, chain};

/// Pairs in one run of Blender: its start costs as much as a few images, a kill costs the run.
const PAIRS_A_RUN: usize = 16;

/// Makes the pairs; Blender itself takes all cores.
pub(super) fn make_all(
    args: &RenderArgs,
    options: &PairOptions,
    dataset: &Dataset,
    tally: &Tally,
    bar: &ProgressBar,
) -> Result<(), Failure> {
    let blender = Blender { program: args.blender.clone(), samples: args.samples };
    let mut renderer = Renderer::new();
    let mut run: Vec<Drawn> = Vec::with_capacity(PAIRS_A_RUN);
    for number in 0..args.count {
        match draw(number, args, options, dataset, tally, &mut renderer)? {
            Some(drawn) => run.push(drawn),
            None => bar.inc(1),
        }
        if run.len() == PAIRS_A_RUN || number + 1 == args.count {
            let made = run.len() as u64;
            make_run(&blender, std::mem::take(&mut run), args.size, dataset)?;
            tally.made.fetch_add(made, Ordering::Relaxed);
            bar.inc(made);
        }
    }
    Ok(())
}

fn make_run(blender: &Blender, mut run: Vec<Drawn>, size: u32, dataset: &Dataset) -> Result<(), Failure> {
    if run.is_empty() {
        return Ok(());
    }
    let folder = tempfile::tempdir()
        .map_err(|error| Failure::file("make a folder in", &std::env::temp_dir(), &error))?;
    let scenes: Vec<&Scene> = run.iter().flat_map(|drawn| [&drawn.pair.before, &drawn.pair.after]).collect();
    let pictures = blender.render(&scenes, (size, size), folder.path()).map_err(|error| failure(&error))?;
    let mut pictures = pictures.into_iter().map(|picture| picture.image);
    for drawn in &mut run {
        if let (Some(before), Some(after)) = (pictures.next(), pictures.next()) {
            (drawn.before.image, drawn.after.image) = (before, after);
        }
        dataset.put(drawn.number, &drawn.pair, &drawn.before, &drawn.after)?;
    }
    Ok(())
}

fn failure(error: &BlenderError) -> Failure {
    let blame = match error {
        BlenderError::NotStarted { .. } => Blame::Installation,
        _ => Blame::Program,
    };
    Failure::new(blame, error.code(), chain(error))
}
