//! Measures cases: one warm-up of each side, then pairs, ours first, while the other side idles.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::cases::{Case, Dtype, ModelSize, Work};
use super::measured::{Measured, Pairs, median};
use super::worker::Worker;
use super::{cold, compare};
use crate::command;
use crate::workspace::Workspace;

const LIBTORCH: &str = "2.11.0";
const PEER: &str = "bench/engine_peer.py";
const TOKENIZER: &str = "crates/diffusion/tests/goldens/tokenizer_sd1";
/// As in both workers.
const PROMPT: &str = "make the tie blue";
const SEED: &str = "7";
/// Prefixes of variables that would set up one side's threads or the other's.
const THREADING: [&str; 4] = ["OMP_", "GOMP_", "KMP_", "MKL_"];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Ours,
    Theirs,
}

const SIDES: [Side; 2] = [Side::Ours, Side::Theirs];

impl Side {
    fn other(self) -> Self {
        match self {
            Self::Ours => Self::Theirs,
            Self::Theirs => Self::Ours,
        }
    }
}

/// The programs of both sides.
pub(super) struct Programs {
    python: PathBuf,
    peer: PathBuf,
    tokenizer: PathBuf,
    worker: PathBuf,
    retouch: PathBuf,
}

impl Programs {
    /// Builds ours, optimised.
    pub(super) fn build(workspace: &Workspace, python: PathBuf) -> Result<Self> {
        let mut cargo = workspace.cargo();
        cargo.args(["build", "--release", "--package", "retouch", "--bins"]);
        cargo.args(["--package", "retouch-diffusion", "--example", "bench_engine"]);
        command::run(&mut cargo)?;
        let release = workspace.target_dir()?.join("release");
        Ok(Self {
            python,
            peer: workspace.root().join(PEER),
            tokenizer: workspace.root().join(TOKENIZER),
            worker: release.join("examples/bench_engine"),
            retouch: release.join("retouch"),
        })
    }
}

/// One measurement of one side.
struct Sample {
    seconds: f64,
    peak_bytes: Option<u64>,
    out: PathBuf,
    /// CPU seconds that the other side's waiting process used, and the wall time meanwhile.
    idle: (f64, f64),
}

/// Both sides' processes with a model loaded.
struct Residents {
    model: ModelSize,
    dtype: Dtype,
    workers: [Worker; 2],
}

/// Runs cases one after the other.
pub(super) struct Runner {
    programs: Programs,
    threads: u16,
    device: String,
    /// What the peer made, by name.
    made: Value,
    scratch: tempfile::TempDir,
    residents: Option<Residents>,
    libraries: Value,
}

impl Runner {
    /// Makes the models that `cases` need where they are missing.
    pub(super) fn new(
        programs: Programs,
        folder: &Path,
        cases: &[Case],
        threads: u16,
        device: String,
    ) -> Result<Self> {
        let mut make = Command::new(&programs.python);
        make.arg(&programs.peer).arg("make").arg("--dir").arg(folder);
        make.arg("--tokenizer").arg(&programs.tokenizer).env("HF_HUB_OFFLINE", "1");
        let models = [ModelSize::Full, ModelSize::Tiny].into_iter();
        make.args(models.filter(|m| cases.iter().any(|case| case.model == *m)).map(ModelSize::name));
        let output = make.stderr(std::process::Stdio::inherit()).output().context("making the models")?;
        if !output.status.success() {
            bail!("`{}` failed with {}", command::line(&make), output.status);
        }
        let made = serde_json::from_slice(&output.stdout).context("reading where the models lie")?;
        let scratch = tempfile::tempdir().context("creating a folder for the results")?;
        let libraries = Value::Null;
        Ok(Self { programs, threads, device, made, scratch, residents: None, libraries })
    }

    /// The versions of the peer's libraries; null before a worker of it ran.
    pub(super) fn libraries(&self) -> &Value {
        &self.libraries
    }

    /// Runs a case's warm-up and its pairs.
    pub(super) fn measure(&mut self, case: Case, pairs: u32) -> Result<Measured> {
        for side in SIDES {
            self.sample(&case.warm_up(), side)?;
        }
        let (mut time, mut memory) = (Pairs::default(), Pairs::default());
        let (mut difference, mut busy, mut wall) = (0f64, 0.0, 0.0);
        for _ in 0..pairs {
            let [ours, theirs] = [self.sample(&case, Side::Ours)?, self.sample(&case, Side::Theirs)?];
            time.push([ours.seconds, theirs.seconds]);
            if let (Some(ours), Some(theirs)) = (ours.peak_bytes, theirs.peak_bytes) {
                memory.push([ours as f64, theirs as f64]);
            }
            difference = difference.max(compare::difference(&ours.out, &theirs.out)?);
            busy += ours.idle.0 + theirs.idle.0;
            wall += ours.idle.1 + theirs.idle.1;
        }
        let idle_load = if wall > 0.0 { busy / wall } else { 0.0 };
        Ok(Measured { case, time, memory, difference, idle_load })
    }

    fn sample(&mut self, case: &Case, side: Side) -> Result<Sample> {
        let extension = if matches!(case.work, Work::Cold { .. }) { "png" } else { "f32" };
        let out = self.scratch.path().join(format!("{side:?}.{extension}"));
        match case.work {
            Work::Cold { steps } => self.sample_cold(case, steps, side, out),
            Work::Load => self.sample_load(case, side, out),
            _ => self.sample_resident(case, side, out),
        }
    }

    fn sample_cold(&mut self, case: &Case, steps: u32, side: Side, out: PathBuf) -> Result<Sample> {
        self.residents = None;
        let mut command = self.command(match side {
            Side::Ours => &self.programs.retouch,
            Side::Theirs => &self.programs.python,
        });
        match side {
            Side::Ours => command.args(["engine", "edit", "--instruction", PROMPT, "--seed", SEED]),
            Side::Theirs => command.arg(&self.programs.peer).arg("cold"),
        };
        let image = self.image(case, "png")?;
        command
            .arg("--model")
            .arg(self.folder(case.model)?)
            .arg("--image")
            .arg(image)
            .arg("--output")
            .arg(&out);
        command.args(["--steps", &steps.to_string(), "--threads", &self.threads.to_string()]);
        command.args(["--device", &self.device]);
        let taken = cold::run(&mut command)?;
        Ok(Sample { seconds: taken.seconds, peak_bytes: Some(taken.peak_bytes), out, idle: (0.0, 0.0) })
    }

    fn sample_load(&mut self, case: &Case, side: Side, out: PathBuf) -> Result<Sample> {
        self.residents = None;
        let mut worker = self.worker(side)?;
        let seconds = median(worker.ask(&self.load_command(case)?)?)?;
        worker.ask(&self.work_command(case, &out)?)?;
        Ok(Sample { seconds, peak_bytes: Some(worker.peak_bytes()?), out, idle: (0.0, 0.0) })
    }

    fn sample_resident(&mut self, case: &Case, side: Side, out: PathBuf) -> Result<Sample> {
        let command = self.work_command(case, &out)?;
        let residents = self.residents(case)?;
        let idle_before = residents.workers[side.other() as usize].cpu_seconds()?;
        let start = Instant::now();
        let seconds = median(residents.workers[side as usize].ask(&command)?)?;
        let wall = start.elapsed().as_secs_f64();
        let idle = residents.workers[side.other() as usize].cpu_seconds()? - idle_before;
        Ok(Sample { seconds, peak_bytes: None, out, idle: (idle, wall) })
    }

    /// The two processes that have the case's model.
    fn residents(&mut self, case: &Case) -> Result<&mut Residents> {
        let fits = |r: &Residents| (r.model, r.dtype) == (case.model, case.dtype);
        let mut residents = match self.residents.take() {
            Some(residents) if fits(&residents) => residents,
            Some(residents) => self.load_both(residents.workers, case)?,
            None => {
                let workers = [self.worker(Side::Ours)?, self.worker(Side::Theirs)?];
                self.load_both(workers, case)?
            }
        };
        residents.dtype = case.dtype;
        Ok(self.residents.insert(residents))
    }

    fn load_both(&self, mut workers: [Worker; 2], case: &Case) -> Result<Residents> {
        // Neither side's old model is in memory beside a new one.
        for worker in &mut workers {
            worker.ask(&json!({ "op": "release" }))?;
        }
        for worker in &mut workers {
            worker.ask(&self.load_command(case)?)?;
        }
        Ok(Residents { model: case.model, dtype: case.dtype, workers })
    }

    fn worker(&mut self, side: Side) -> Result<Worker> {
        let threads = self.threads.to_string();
        let mut command = match side {
            Side::Ours => self.command(&self.programs.worker),
            Side::Theirs => self.command(&self.programs.python),
        };
        match side {
            Side::Ours => command.args([&threads, &self.device]),
            Side::Theirs => command.arg(&self.programs.peer).args([
                "worker",
                "--threads",
                &threads,
                "--device",
                &self.device,
            ]),
        };
        let worker = Worker::start(&mut command)?;
        let greeting = &worker.greeting;
        let torch = greeting["libraries"]["torch"].as_str().unwrap_or_default();
        if torch.split('+').next() != Some(LIBTORCH) || greeting["threads"] != self.threads {
            bail!("{side:?} runs {greeting} instead of torch {LIBTORCH} with {threads} threads");
        }
        if side == Side::Theirs {
            self.libraries = greeting["libraries"].clone();
        }
        Ok(worker)
    }

    /// A command in the environment that both sides get.
    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os() {
            if THREADING.iter().any(|prefix| name.to_string_lossy().starts_with(prefix)) {
                command.env_remove(name);
            }
        }
        let threads = self.threads.to_string();
        command.env("OMP_NUM_THREADS", &threads).env("MKL_NUM_THREADS", &threads).env("HF_HUB_OFFLINE", "1");
        command
    }

    fn load_command(&self, case: &Case) -> Result<Value> {
        Ok(json!({ "op": "load", "model": self.folder(case.model)?, "dtype": case.dtype.name() }))
    }

    fn work_command(&self, case: &Case, out: &Path) -> Result<Value> {
        case.command(&self.image(case, "f32")?, out).context("a cold edit is no command")
    }

    fn folder(&self, model: ModelSize) -> Result<&str> {
        self.made[model.name()].as_str().with_context(|| format!("no folder of the {} model", model.name()))
    }

    fn image(&self, case: &Case, extension: &str) -> Result<PathBuf> {
        let folder = self.made["images"].as_str().context("no folder of the images")?;
        Ok(Path::new(folder).join(format!("{}.{extension}", case.size)))
    }
}
