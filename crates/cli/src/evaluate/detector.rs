//! `retouch evaluate detector`.

use std::fmt::Write;
use std::sync::atomic::{AtomicUsize, Ordering};

use indicatif::{ProgressBar, ProgressStyle};
use retouch_evaluation::{Audit, Case, Detector, Plant, Suite, SuiteError, Tally};
use retouch_scenes::{Kind, Renderer};
use serde_json::{Value, json};

use super::DetectorArgs;
use retouch_cli::failure::{Blame, Failure, chain, print};

pub(super) fn run(args: &DetectorArgs) -> Result<(), Failure> {
    let suite = Suite::spatial().map_err(|error| failed(&error))?;
    let cases = suite.some(args.level.map(Into::into), args.limit);
    let threads = match args.threads {
        Some(threads) => usize::from(threads.get()),
        None => std::thread::available_parallelism().map_or(1, usize::from),
    };
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} cases, {eta} left");
    let bar = if args.json { ProgressBar::hidden() } else { ProgressBar::new(cases.len() as u64) };
    bar.set_style(style.expect("the template is constant"));
    let audit = audit(&suite, &cases, threads, &bar).map_err(|error| failed(&error))?;
    bar.finish_and_clear();
    if args.json {
        return print(&report(&suite, cases.len(), &audit));
    }
    print(&text(&suite, cases.len(), &audit).trim_end())
}

/// A suite that is part of the program is at fault only if the program is.
fn failed(error: &SuiteError) -> Failure {
    Failure::new(Blame::Program, error.code(), chain(error))
}

fn audit(suite: &Suite, cases: &[&Case], threads: usize, bar: &ProgressBar) -> Result<Audit, SuiteError> {
    let next = AtomicUsize::new(0);
    let work = || {
        let (mut audit, mut detector) = (Audit::default(), Detector::new(suite));
        let mut renderer = Renderer::new();
        while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
            audit.case(case, suite.size, &mut detector, &mut renderer)?;
            bar.inc(1);
        }
        Ok(audit)
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let mut sum = Audit::default();
        for worker in workers {
            sum.merge(&worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?);
        }
        Ok(sum)
    })
}

/// The name that JSON has for it.
fn name(value: impl serde::Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| Some(value.as_str()?.to_owned())).unwrap_or_default()
}

/// The wrong verdicts.
fn wrong(tally: Tally) -> Tally {
    Tally { hits: tally.total - tally.hits, total: tally.total }
}

fn report(suite: &Suite, cases: usize, audit: &Audit) -> Value {
    let told = |tally: Tally| {
        let (low, high) = wrong(tally).interval();
        json!({ "wrong": wrong(tally).hits, "judged": tally.total, "interval": [low, high] })
    };
    let plants: Vec<Value> = Plant::ALL
        .iter()
        .map(|plant| json!({ "plant": plant, "right": plant.is_right(), "verdicts": told(audit.of_plant(*plant)) }))
        .collect();
    let kinds: Vec<Value> = Kind::ALL
        .iter()
        .map(|kind| {
            let of = |right| told(audit.of(right, Some(*kind)));
            json!({ "kind": kind, "false_rejects": of(true), "false_accepts": of(false) })
        })
        .collect();
    json!({
        "suite": suite.name, "cases": cases,
        "false_rejects": told(audit.of(true, None)), "false_accepts": told(audit.of(false, None)),
        "plants": plants, "kinds": kinds,
    })
}

fn text(suite: &Suite, cases: usize, audit: &Audit) -> String {
    let told = |tally: Tally| {
        let (low, high) = wrong(tally).interval();
        let share = wrong(tally).share().unwrap_or(0.0) * 100.0;
        format!(
            "{:>5} of {:>5} = {share:5.2} %  ({:.2} to {:.2})",
            wrong(tally).hits,
            tally.total,
            low * 100.0,
            high * 100.0
        )
    };
    let mut text = format!("{}: the detector's wrong verdicts on {cases} cases\n\n", suite.name);
    let mut line = |label: &str, tally: Tally| {
        // A string takes all that is written to it.
        let _ = writeln!(text, "{label:<28}{}", told(tally));
    };
    for plant in Plant::ALL {
        let side = if plant.is_right() { "right" } else { "wrong" };
        line(&format!("{side}: {}", name(plant)), audit.of_plant(plant));
    }
    for (label, right) in [("refused though right", true), ("accepted though wrong", false)] {
        line(label, audit.of(right, None));
        for kind in Kind::ALL {
            line(&format!("  {}", name(kind)), audit.of(right, Some(kind)));
        }
    }
    text
}
