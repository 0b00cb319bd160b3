//! One stage's loop: losses, optimizer, metrics, and states to go on from.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tch::{Device, Tensor};

use super::adamw::{AdamW, Optimization, Stepped};
use super::error::{Result, TrainingError};
use super::flat::Flat;
use super::parameters::Parameters;
use super::state;
use crate::error::contain;
use crate::noise::SeededNoise;

/// File of the metrics in a stage's folder.
pub(super) const METRICS: &str = "metrics.jsonl";
/// Steps in a row without a finite gradient after which a training gives up.
const PATIENCE: u64 = 20;

/// How long and how a stage is trained.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// Optimizer steps in all.
    pub steps: u64,
    /// Examples a step.
    pub batch: u64,
    /// Steps between two states on disk: what a crash loses at most.
    #[serde(default = "default_save_every")]
    pub save_every: u64,
    /// Steps between two lines of metrics.
    #[serde(default = "default_log_every")]
    pub log_every: u64,
    /// The optimizer.
    #[serde(default)]
    pub optimizer: Optimization,
}

fn default_save_every() -> u64 {
    200
}

fn default_log_every() -> u64 {
    20
}

/// What a step minimises, and the parts of it that are worth a line in the metrics. Scalars.
pub struct Losses {
    /// The sum that gradients are taken of.
    pub total: Tensor,
    /// Parts by name.
    pub parts: Vec<(&'static str, Tensor)>,
}

/// A step's own random numbers: the same for the same training and step, whatever happened before.
pub struct Draws {
    /// Normal tensors.
    pub normal: SeededNoise,
    /// Everything else.
    pub rng: ChaCha8Rng,
}

impl Draws {
    fn new(seed: u64, step: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(step);
        // A seed of LibTorch's generator that no other step has.
        let mixed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ step;
        Self { normal: SeededNoise::new(mixed), rng }
    }
}

/// What is known after a step.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// Steps done.
    pub step: u64,
    /// Steps in all.
    pub steps: u64,
    /// Mean loss since the last line of metrics; only when this step wrote one.
    pub loss: Option<f64>,
}

/// A stage in progress, in a folder of its own.
pub struct Run {
    folder: PathBuf,
    stage: Stage,
    seed: u64,
    flat: Flat,
    optimizer: AdamW,
    step: u64,
    unusable: u64,
    window: Window,
}

/// Sums since the last line of metrics.
struct Window {
    sums: Vec<(&'static str, f64)>,
    count: u64,
    skipped: u64,
    begun: Instant,
}

impl Run {
    /// Begins, or goes on where the newest state in `folder` left off.
    pub(crate) fn open(
        folder: &Path,
        stage: Stage,
        seed: u64,
        networks: &[(&str, &Parameters)],
        device: Device,
    ) -> Result<Self> {
        std::fs::create_dir_all(folder).map_err(|e| TrainingError::write(folder, e))?;
        let mut flat = Flat::new(networks, device);
        let mut optimizer = AdamW::new(stage.optimizer, &flat);
        let step = state::resume(folder, &mut flat, &mut optimizer)?;
        let run = Self {
            folder: folder.to_owned(),
            stage,
            seed,
            flat,
            optimizer,
            step,
            unusable: 0,
            window: Window::new(),
        };
        run.forget_metrics_after(step)?;
        Ok(run)
    }

    /// Steps done.
    pub fn step(&self) -> u64 {
        self.step
    }

    /// Whether all steps are done.
    pub fn finished(&self) -> bool {
        self.step >= self.stage.steps
    }

    /// The weights.
    pub fn flat(&mut self) -> &mut Flat {
        &mut self.flat
    }

    /// The random numbers of the next step. Only one holds LibTorch's generator: take what is needed and let go.
    pub fn draws(&self) -> Draws {
        Draws::new(self.seed, self.step)
    }

    /// One step: the losses, their gradients, the optimizer; a state and a line of metrics when it is time for them.
    pub fn advance(&mut self, losses: Losses) -> Result<Report> {
        let (step, steps) = (self.step, self.stage.steps);
        let stepped = contain("a training step", || {
            losses.total.backward();
            Ok(self.optimizer.step(&mut self.flat, step, steps))
        })?;
        self.watch(&stepped)?;
        self.window.add(&losses, &stepped);
        self.step += 1;
        let logs = self.step.is_multiple_of(self.stage.log_every.max(1)) || self.finished();
        let loss = if logs { Some(self.log(&stepped)?) } else { None };
        if self.step.is_multiple_of(self.stage.save_every.max(1)) || self.finished() {
            self.save()?;
        }
        Ok(Report { step: self.step, steps, loss })
    }

    /// Writes the state now.
    pub fn save(&self) -> Result<()> {
        state::save(&self.folder, &self.flat, &self.optimizer, self.step).map(drop)
    }

    fn watch(&mut self, stepped: &Stepped) -> Result<()> {
        self.unusable = if stepped.skipped { self.unusable + 1 } else { 0 };
        if self.unusable >= PATIENCE {
            return Err(TrainingError::Diverged { count: self.unusable, step: self.step });
        }
        Ok(())
    }

    fn log(&mut self, stepped: &Stepped) -> Result<f64> {
        let window = std::mem::replace(&mut self.window, Window::new());
        let count = window.count.max(1) as f64;
        let mut line = Map::new();
        line.insert("step".into(), json!(self.step));
        for (name, sum) in &window.sums {
            line.insert((*name).into(), json!(sum / count));
        }
        line.insert("learning_rate".into(), json!(stepped.rate));
        line.insert("skipped".into(), json!(window.skipped));
        let seconds = window.begun.elapsed().as_secs_f64();
        line.insert(
            "seconds_per_step".into(),
            json!(seconds / (window.count + window.skipped).max(1) as f64),
        );
        let path = self.metrics();
        let write = || {
            let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
            writeln!(file, "{}", Value::Object(line))
        };
        write().map_err(|e| TrainingError::write(&path, e))?;
        Ok(window.sums.first().map_or(f64::NAN, |(_, sum)| sum / count))
    }

    /// One JSON object a line: means since the line before.
    pub fn metrics(&self) -> PathBuf {
        self.folder.join(METRICS)
    }

    /// Drops the lines of steps that a crash has undone.
    fn forget_metrics_after(&self, step: u64) -> Result<()> {
        let path = self.metrics();
        let Ok(file) = File::open(&path) else { return Ok(()) };
        let kept = |line: &String| {
            let line: Option<Value> = serde_json::from_str(line).ok();
            line.and_then(|line| line["step"].as_u64()).is_some_and(|of| of <= step)
        };
        let lines = BufReader::new(file).lines().map_while(std::result::Result::ok).filter(kept);
        let text: String = lines.map(|line| line + "\n").collect();
        state::write_atomically(&path, text.as_bytes())
    }
}

impl Window {
    fn new() -> Self {
        Self { sums: Vec::new(), count: 0, skipped: 0, begun: Instant::now() }
    }

    fn add(&mut self, losses: &Losses, stepped: &Stepped) {
        if stepped.skipped {
            self.skipped += 1;
            return;
        }
        let value = |tensor: &Tensor| tensor.double_value(&[]);
        let all = std::iter::once(("loss", value(&losses.total)))
            .chain(losses.parts.iter().map(|(name, part)| (*name, value(part))))
            .chain([("gradient_norm", stepped.gradient_norm)]);
        if self.sums.is_empty() {
            self.sums = all.collect();
        } else {
            self.sums.iter_mut().zip(all).for_each(|((_, sum), (_, value))| *sum += value);
        }
        self.count += 1;
    }
}
