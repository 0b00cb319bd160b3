//! A folder with a photo and fixture models, and runs of `retouch` in it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use retouch_imaging::{Limits, RgbImage, decode};
use retouch_testkit::models::model_folder;
use safetensors::tensor::{Dtype, SafeTensors};
use serde_json::Value;
use tempfile::TempDir;

/// The executable under test.
pub const RETOUCH: &str = env!("CARGO_BIN_EXE_retouch");
/// The instruction of `make_cli.py`.
pub const INSTRUCTION: &str = "make the tie blue";

/// A golden of `make_cli.py`.
pub fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens").join(name)
}

/// A temporary folder that commands run in: it has `photo.png` (67x45) and the models that were asked for.
pub struct Place {
    folder: TempDir,
}

impl Place {
    /// With the models `family-scheduler`, such as `ip2p-euler-a`.
    pub fn with_models(names: &[&str]) -> Self {
        let place = Self { folder: tempfile::tempdir().expect("a temporary folder") };
        std::fs::copy(golden("photo.png"), place.path("photo.png")).expect("committed");
        for name in names {
            let (family, scheduler) = name.split_once('-').expect("family-scheduler");
            model_folder(family, scheduler, place.folder.path());
        }
        place
    }

    /// With the model that edits, `ip2p-euler-a`.
    pub fn new() -> Self {
        Self::with_models(&["ip2p-euler-a"])
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Everything in the folder by relative path, with the length of files: what a failure must leave as it was.
    pub fn listing(&self) -> BTreeMap<PathBuf, u64> {
        let mut found = BTreeMap::new();
        let mut folders = vec![self.folder.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).expect("readable") {
                let (path, metadata) = entry.and_then(|e| Ok((e.path(), e.metadata()?))).expect("readable");
                if metadata.is_dir() {
                    folders.push(path.clone());
                }
                let length = if metadata.is_file() { metadata.len() } else { 0 };
                found.insert(path.strip_prefix(self.folder.path()).expect("below").to_owned(), length);
            }
        }
        found
    }

    /// `program` in this folder.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        // `info` has no --threads, and tests run side by side.
        command.current_dir(self.folder.path()).env("OMP_NUM_THREADS", "1").env("TERM", "xterm");
        command
    }

    /// `retouch` with `arguments`.
    pub fn retouch(&self, arguments: &[&str]) -> Run {
        Run::of(self.command(RETOUCH).args(arguments))
    }

    /// The arguments of an edit of the photo, and those in `more`, which have no spaces.
    pub fn edit_arguments<'a>(&self, more: &'a str) -> Vec<&'a str> {
        let mut arguments = vec!["engine", "edit", "--image", "photo.png", "--instruction", INSTRUCTION];
        if !more.contains("--model") {
            arguments.extend(["--model", "ip2p-euler-a"]);
        }
        arguments.extend(["--threads", "1", "--device", "cpu"]);
        arguments.extend(more.split_whitespace());
        arguments
    }

    /// An edit of the photo.
    pub fn edit(&self, more: &str) -> Run {
        self.retouch(&self.edit_arguments(more))
    }

    /// A generation.
    pub fn generate(&self, more: &str) -> Run {
        let mut arguments = vec!["engine", "generate", "--prompt", INSTRUCTION, "--threads", "1"];
        arguments.extend(["--device", "cpu"]);
        arguments.extend(more.split_whitespace());
        self.retouch(&arguments)
    }

    /// The pixels of an image in this folder.
    pub fn pixels(&self, name: &str) -> RgbImage {
        pixels(&self.path(name))
    }
}

/// What a command left.
pub struct Run {
    /// The exit status; `None` where a signal ended it.
    pub status: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Run {
    pub fn of(command: &mut Command) -> Self {
        let Output { status, stdout, stderr } = command.output().expect("starts");
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        Self { status: status.code(), stdout: text(stdout), stderr: text(stderr) }
    }

    /// Fails unless the command succeeded without a word on standard error.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!((self.status, self.stderr.as_str()), (Some(0), ""), "{}", self.stdout);
        self
    }

    /// The one JSON object that standard output holds.
    #[track_caller]
    pub fn json(&self) -> Value {
        assert_eq!(self.stdout.lines().count(), 1, "{}", self.stdout);
        serde_json::from_str(&self.stdout).expect("JSON")
    }
}

/// The pixels of an image file.
pub fn pixels(path: &Path) -> RgbImage {
    let bytes = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    decode(&bytes, &Limits::default()).expect("an image").pixels
}

/// The float32 tensors of a safetensors file.
pub fn tensors(path: &Path) -> BTreeMap<String, (Vec<usize>, Vec<f32>)> {
    let bytes = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let file = SafeTensors::deserialize(&bytes).expect("safetensors");
    file.iter()
        .map(|(name, view)| {
            assert_eq!(view.dtype(), Dtype::F32, "{name}");
            let values = view.data().as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes));
            (name.to_owned(), (view.shape().to_vec(), values.collect()))
        })
        .collect()
}

/// max|Δ| / max(1, max|reference|), infinite where shapes differ or something is not finite.
pub fn difference(result: &(Vec<usize>, Vec<f32>), reference: &(Vec<usize>, Vec<f32>)) -> f64 {
    if result.0 != reference.0 {
        return f64::INFINITY;
    }
    let largest = reference.1.iter().fold(1.0, |max: f64, x| max.max(f64::from(x.abs())));
    let deltas = result.1.iter().zip(&reference.1).map(|(a, b)| f64::from((a - b).abs()) / largest);
    deltas.fold(0.0, |max, delta| if delta.is_nan() { f64::INFINITY } else { max.max(delta) })
}
