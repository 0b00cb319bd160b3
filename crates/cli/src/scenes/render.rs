//! `retouch scenes render`.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};
use retouch_scenes::{Pair, PairOptions, Rendered, Renderer};
use serde_json::json;

use super::dataset::Dataset;
use super::{Backend, RenderArgs, blend, scene_failure};
use retouch_cli::failure::{Failure, print};

/// What became of the pairs.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) made: AtomicU64,
    pub(super) kept: AtomicU64,
    pub(super) skipped: AtomicU64,
}

pub(super) fn run(args: &RenderArgs) -> Result<(), Failure> {
    let start = Instant::now();
    let options = args.sampling.options();
    let mut parameters = args.sampling.described();
    parameters["size"] = args.size.into();
    if args.backend == Backend::Blender {
        parameters["backend"] = json!(args.backend);
        parameters["samples"] = args.samples.into();
    }
    let dataset = Dataset::open(&args.output, &parameters)?;
    let tally = Tally::default();
    let bar = progress_bar(args);
    let outcome = match args.backend {
        Backend::RayCaster => make_all(args, &options, &dataset, &tally, &bar),
        Backend::Blender => blend::make_all(args, &options, &dataset, &tally, &bar),
    };
    bar.finish_and_clear();
    outcome?;
    let pairs = dataset.write_index(args.count)?;
    report(args, &tally, pairs, start.elapsed().as_secs_f64())
}

/// A bar on standard error, and only where that is a terminal.
fn progress_bar(args: &RenderArgs) -> ProgressBar {
    if args.sampling.json {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} pairs, {per_sec}, {eta} left")
        .expect("the template is constant");
    ProgressBar::new(args.count).with_style(style)
}

/// Makes the pairs on all threads; the first failure stops them.
fn make_all(
    args: &RenderArgs,
    options: &PairOptions,
    dataset: &Dataset,
    tally: &Tally,
    bar: &ProgressBar,
) -> Result<(), Failure> {
    let available = || std::thread::available_parallelism().map_or(1, usize::from);
    let threads = args.threads.map_or_else(available, usize::from);
    let next = AtomicU64::new(0);
    let work = || -> Result<(), Failure> {
        let mut renderer = Renderer::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= args.count {
                return Ok(());
            }
            let made = make(number, args, options, dataset, tally, &mut renderer);
            if made.is_err() {
                next.store(args.count, Ordering::Relaxed);
            }
            made?;
            bar.inc(1);
        }
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let results = workers
            .into_iter()
            .map(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        results.collect::<Vec<_>>().into_iter().collect()
    })
}

fn make(
    number: u64,
    args: &RenderArgs,
    options: &PairOptions,
    dataset: &Dataset,
    tally: &Tally,
    renderer: &mut Renderer,
) -> Result<(), Failure> {
    let Some(Drawn { pair, before, after, .. }) = draw(number, args, options, dataset, tally, renderer)?
    else {
        return Ok(());
    };
    dataset.put(number, &pair, &before, &after)?;
    tally.made.fetch_add(1, Ordering::Relaxed);
    Ok(())
}

/// A pair and what the ray caster makes of it.
pub(super) struct Drawn {
    pub(super) number: u64,
    pub(super) pair: Pair,
    pub(super) before: Rendered,
    pub(super) after: Rendered,
}

/// A pair that is not there yet; `None` for one that is, or that its seed does not give.
pub(super) fn draw(
    number: u64,
    args: &RenderArgs,
    options: &PairOptions,
    dataset: &Dataset,
    tally: &Tally,
    renderer: &mut Renderer,
) -> Result<Option<Drawn>, Failure> {
    if dataset.has(number) {
        tally.kept.fetch_add(1, Ordering::Relaxed);
        return Ok(None);
    }
    let Ok(pair) = Pair::sample_with(args.sampling.seed.wrapping_add(number), options, renderer) else {
        tally.skipped.fetch_add(1, Ordering::Relaxed);
        return Ok(None);
    };
    let mut render =
        |scene| renderer.render(scene, args.size, args.size).map_err(|error| scene_failure(&error));
    let (before, after) = (render(&pair.before)?, render(&pair.after)?);
    Ok(Some(Drawn { number, pair, before, after }))
}

fn report(args: &RenderArgs, tally: &Tally, pairs: u64, seconds: f64) -> Result<(), Failure> {
    let [made, kept, skipped] =
        [&tally.made, &tally.kept, &tally.skipped].map(|count| count.load(Ordering::Relaxed));
    if args.sampling.json {
        return print(&json!({
            "output": args.output, "pairs": pairs, "made": made, "kept": kept, "skipped": skipped,
            "seconds": seconds,
        }));
    }
    let kept = if kept > 0 { format!(", {kept} were there already") } else { String::new() };
    let skipped = if skipped > 0 { format!(", {skipped} seeds gave none") } else { String::new() };
    print(&format_args!("{}: {pairs} pairs{kept}{skipped}, made in {seconds:.1} s", args.output.display()))
}
