//! Damaged and hostile model folders and exports: each a named error, no panic, bounded memory.

mod checkpoints;
mod configs;
mod folders;
mod rows;

use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::path::{Path, PathBuf};

use retouch_diffusion::models::clip::ClipText;
use retouch_diffusion::{Device, Error, Kind, LoadOptions, LoadReport, Model};
use serde_json::{Map, Value, json};

use crate::fixture;

/// Loading float32 networks on the CPU.
pub fn options() -> LoadOptions {
    LoadOptions { device: Device::Cpu, kind: Kind::Float, variant: None }
}

/// A good model folder, to be damaged.
pub struct Scratch {
    dir: tempfile::TempDir,
    pub folder: PathBuf,
}

impl Scratch {
    pub fn new(family: &str, scheduler: &str) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let folder = fixture::model_folder(family, scheduler, dir.path());
        Self { dir, folder }
    }

    /// What `load` makes of the folder while `damage` has taken the place of `file`, which comes back afterwards.
    pub fn damaged<T>(&self, file: &str, damage: impl FnOnce(&Path), load: impl FnOnce(&Path) -> T) -> T {
        let path = self.folder.join(file);
        let aside = self.dir.path().join(file.replace('/', " "));
        std::fs::rename(&path, &aside).expect("a file of a good folder");
        damage(&path);
        let result = load(&self.folder);
        if path.is_dir() {
            std::fs::remove_dir_all(&path).expect("removable");
        } else if path.exists() {
            std::fs::remove_file(&path).expect("removable");
        }
        std::fs::rename(&aside, &path).expect("the folder is good again");
        result
    }

    /// The model with `content` in place of `file`; `None` for no such file.
    pub fn load_with(&self, file: &str, content: Option<&[u8]>) -> Result<Model, Error> {
        let damage =
            |path: &Path| content.into_iter().for_each(|c| std::fs::write(path, c).expect("writable"));
        self.damaged(file, damage, |folder| Model::load(folder, &options()))
    }

    /// The fields of a JSON file.
    pub fn json(&self, file: &str) -> Map<String, Value> {
        serde_json::from_slice(&std::fs::read(self.folder.join(file)).expect("readable")).expect("an object")
    }
}

/// The text encoder alone: the smallest checkpoint.
pub fn text_encoder(folder: &Path) -> Result<(ClipText, LoadReport), Error> {
    ClipText::load(&folder.join("text_encoder"), None, Device::Cpu, Kind::Float)
}

/// An error with its causes in one line, as programs print it.
pub fn chain(error: &dyn StdError) -> String {
    let causes = std::iter::successors(error.source(), |e| (*e).source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// Fails unless `result` is an error of that code whose text names everything in `named` and is not endless.
#[track_caller]
pub fn refused<T>(what: &str, result: Result<T, Error>, code: &str, named: &[&str]) {
    let Err(error) = result else { panic!("{what}: is taken") };
    let text = chain(&error);
    assert_eq!(error.code(), code, "{what}: {text}");
    for name in named {
        assert!(text.contains(name), "{what}: {name:?} is not named in {text:?}");
    }
    assert!(text.len() < 8000, "{what}: a message of {} bytes", text.len());
}

/// A safetensors file taken apart: header fields and data.
pub struct File {
    pub header: Map<String, Value>,
    pub data: Vec<u8>,
}

impl File {
    pub fn parse(bytes: &[u8]) -> Self {
        let (length, rest) = bytes.split_at(8);
        let length = u64::from_le_bytes(length.try_into().expect("8 bytes")) as usize;
        let header = serde_json::from_slice(&rest[..length]).expect("a JSON header");
        Self { header, data: rest[length..].to_vec() }
    }

    /// Lays out `tensors`: type, shape and bytes by name.
    pub fn new(tensors: &Tensors) -> Self {
        let mut file = Self { header: Map::new(), data: Vec::new() };
        for (name, (dtype, shape, bytes)) in tensors {
            let start = file.data.len();
            file.data.extend(bytes);
            let entry = json!({"dtype": dtype, "shape": shape, "data_offsets": [start, file.data.len()]});
            file.header.insert(name.clone(), entry);
        }
        file
    }

    /// The file's bytes, the header padded with `pad` spaces.
    pub fn bytes(&self, pad: usize) -> Vec<u8> {
        let header = serde_json::to_string(&self.header).expect("JSON") + &" ".repeat(pad);
        [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &self.data].concat()
    }
}

/// Type, shape and bytes by name.
pub type Tensors = BTreeMap<String, (&'static str, Vec<usize>, Vec<u8>)>;

/// The tensors of the golden network `case`.
pub fn tensors(case: &str) -> Tensors {
    fixture::tensors(case).into_iter().map(|(name, (shape, bytes))| (name, ("F32", shape, bytes))).collect()
}

/// The tensors of `case` with some shapes changed: by suffix of the name, which dimension, to what. Those are 0.
pub fn resized(case: &str, changes: &[(&str, usize, usize)]) -> Vec<u8> {
    let mut tensors = tensors(case);
    for (name, (_, shape, bytes)) in &mut tensors {
        for &(_, dimension, size) in changes.iter().filter(|(suffix, _, _)| name.ends_with(suffix)) {
            shape[dimension] = size;
            *bytes = vec![0; 4 * shape.iter().product::<usize>()];
        }
    }
    File::new(&tensors).bytes(0)
}

/// Makes a named pipe that nobody writes to.
pub fn fifo(path: &Path) {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).expect("a named pipe");
}

/// A directory where a file should be.
pub fn directory(path: &Path) {
    std::fs::create_dir(path).expect("writable");
}
