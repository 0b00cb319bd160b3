//! `retouch evaluate spatial`: a model on the frozen suite.

mod args;
mod editor;
mod sheet;
mod store;

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};
use retouch_diffusion::{Engine, EngineOptions, LoadOptions, Model};
use retouch_evaluation::{
    Case, Detector, Editor, FEATURES_ARE, Row, Scores, Statistics, Suite, SuiteError, Verdict, table,
};
use retouch_imaging::{RgbImage, from_unit_range, to_model_input};
use retouch_scenes::Renderer;
use serde_json::{Value, json};

pub(crate) use self::args::EvaluateArgs;
use self::editor::StepEditor;
use self::store::Store;
use crate::failure::{Blame, Failure, chain};
use crate::report::print;

/// The verdicts by row and case.
type Judged = BTreeMap<(Row, u32), Verdict>;

/// Makes what is missing, judges everything, and reports.
pub(crate) fn run(args: &EvaluateArgs) -> Result<(), Failure> {
    if let Some(threads) = args.threads {
        retouch_diffusion::set_threads(threads);
    }
    let suite = Suite::spatial()?;
    let cases = suite.some(args.level.map(Into::into), args.limit);
    let options = LoadOptions { device: args.device, kind: args.dtype.kind(), variant: args.variant.clone() };
    let model = Rc::new(Model::load(&args.model, &options)?);
    let rows = args.rows(model.spatial().is_some());
    if rows.is_empty() || cases.is_empty() {
        let text = "no row is left that this model can answer, or no case; ask for others".to_owned();
        return Err(Failure::new(Blame::Parameters, "nothing_to_evaluate", text));
    }
    let parameters = parameters(args, &suite, &model)?;
    let store = Store::open(&args.output, &parameters)?;
    let run = Run { args, suite: &suite, cases: &cases, store: &store };
    run.make(&model, &rows)?;
    let judged = run.judge(&rows)?;
    let scores = run.scores(&rows, &judged)?;
    let shown: Vec<&Case> = cases.iter().copied().take(usize::from(args.sheet)).collect();
    store.write("sheet.png", &sheet::draw(&suite, &shown, &rows, &judged, &store)?)?;
    let results = json!({
        "suite": suite.name, "cases": cases.len(), "parameters": parameters, "features": FEATURES_ARE,
        "rows": scores,
    });
    store.write("results.json", format!("{results:#}\n").as_bytes())?;
    let text = format!("{}, {} cases\n\n{}", suite.name, cases.len(), table(&scores));
    store.write("results.txt", text.as_bytes())?;
    if args.json { print(&results) } else { print(&text.trim_end()) }
}

/// What decides the results.
fn parameters(args: &EvaluateArgs, suite: &Suite, model: &Model) -> Result<Value, Failure> {
    Ok(json!({
        "suite": suite.name, "digest": suite.frozen_digest(), "model": model.fingerprint()?,
        "sampler": args.sampler.clone().map_or_else(|| model.sampler_name(), Ok)?, "steps": args.steps,
        "guidance_text": args.guidance_text, "guidance_image": args.guidance_image, "seed": args.seed,
        "dtype": args.dtype.name(),
    }))
}

struct Run<'a> {
    args: &'a EvaluateArgs,
    suite: &'a Suite,
    cases: &'a [&'a Case],
    store: &'a Store,
}

impl Run<'_> {
    /// Makes the results that are not there yet; the round trip of every input, too, for results are judged against it.
    fn make(&self, model: &Rc<Model>, rows: &[Row]) -> Result<(), Failure> {
        let engine = Engine::new(model.clone(), EngineOptions::default());
        let mut editor = StepEditor { engine, args: self.args };
        let mut all = rows.to_vec();
        if !all.contains(&Row::VaeInput) {
            all.push(Row::VaeInput);
        }
        let mut renderer = Renderer::new();
        for row in all {
            let missing: Vec<&Case> =
                self.cases.iter().copied().filter(|case| !self.store.has(row, case.id)).collect();
            let bar = self.bar(row.name(), missing.len());
            for batch in missing.chunks(usize::from(self.args.batch)) {
                self.answer(row, batch, model, &mut editor, &mut renderer)?;
                bar.inc(batch.len() as u64);
            }
            bar.finish_and_clear();
        }
        Ok(())
    }

    fn answer(
        &self,
        row: Row,
        batch: &[&Case],
        model: &Model,
        editor: &mut impl Editor<Error = Failure>,
        renderer: &mut Renderer,
    ) -> Result<(), Failure> {
        let ask = |case: &&Case| self.suite.question(case, row, renderer);
        let questions = batch.iter().map(ask).collect::<Result<Vec<_>, _>>()?;
        let start = Instant::now();
        let images = match (row, row.manner()) {
            (_, Some(manner)) => {
                let seed = |case: &&Case| self.args.seed.wrapping_add(u64::from(case.id));
                let seeds: Vec<u64> = batch.iter().map(seed).collect();
                editor.edit(&questions, &seeds, manner)?
            }
            (Row::VaeTruth, None) => {
                let trip = |case: &&Case| round_trip(model, &self.suite.truth(case, renderer)?);
                batch.iter().map(trip).collect::<Result<_, _>>()?
            }
            (Row::VaeInput, None) => questions
                .iter()
                .map(|question| round_trip(model, &question.image))
                .collect::<Result<_, _>>()?,
            _ => questions.into_iter().map(|question| question.image).collect(),
        };
        let seconds = start.elapsed().as_secs_f64() / batch.len() as f64;
        let seconds = row.manner().map(|_| seconds);
        let mut pairs = batch.iter().zip(&images);
        pairs.try_for_each(|(case, image)| self.store.put(row, case.id, image, seconds))
    }

    /// Judges all results on all threads.
    fn judge(&self, rows: &[Row]) -> Result<Judged, Failure> {
        let threads = self.args.threads.map(usize::from);
        let threads = threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from));
        let bar = self.bar("judging", self.cases.len());
        let next = AtomicUsize::new(0);
        let work = || -> Result<Judged, Failure> {
            let (mut judged, mut detector) = (Judged::new(), Detector::new(self.suite));
            while let Some(case) = self.cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                let (round_trip, _) = self.store.get(Row::VaeInput, case.id)?;
                for row in rows {
                    let (image, _) = self.store.get(*row, case.id)?;
                    let verdict = detector.judge(case, &image, Some(&round_trip))?;
                    judged.insert((*row, case.id), verdict);
                }
                bar.inc(1);
            }
            Ok(judged)
        };
        let judged = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            let mut all = Judged::new();
            for worker in workers {
                all.append(&mut worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?);
            }
            Ok(all)
        });
        bar.finish_and_clear();
        judged
    }

    fn scores(&self, rows: &[Row], judged: &Judged) -> Result<Vec<Scores>, Failure> {
        let (mut truth, mut renderer) = (Statistics::default(), Renderer::new());
        for case in self.cases {
            truth.add(&self.suite.truth(case, &mut renderer)?);
        }
        let scores = rows.iter().map(|row| {
            let (mut scores, mut statistics) = (Scores::new(*row), Statistics::default());
            let mut times = Vec::new();
            for case in self.cases {
                let (image, seconds) = self.store.get(*row, case.id)?;
                statistics.add(&image);
                times.extend(seconds);
                if let Some(verdict) = judged.get(&(*row, case.id)) {
                    scores.count(case, verdict);
                }
            }
            scores.frechet = statistics.distance(&truth);
            scores.seconds = (!times.is_empty()).then(|| times.iter().sum::<f64>() / times.len() as f64);
            Ok(scores)
        });
        scores.collect()
    }

    /// A bar on standard error, where that is a terminal.
    fn bar(&self, what: &'static str, count: usize) -> ProgressBar {
        if self.args.json {
            return ProgressBar::hidden();
        }
        let style = ProgressStyle::with_template("{prefix:10} {bar:30} {pos}/{len}, {eta} left")
            .expect("the template is constant");
        ProgressBar::new(count as u64).with_style(style).with_prefix(what)
    }
}

fn round_trip(model: &Model, image: &RgbImage) -> Result<RgbImage, Failure> {
    let (width, height) = image.dimensions();
    let planes = model.round_trip(&to_model_input(image), width, height)?;
    from_unit_range(&planes, width, height)
        .map_err(|error| Failure::new(Blame::Engine, error.code(), chain(&error)))
}

impl From<SuiteError> for Failure {
    fn from(error: SuiteError) -> Self {
        // The suite is part of the program.
        Self::new(Blame::Engine, error.code(), chain(&error))
    }
}
