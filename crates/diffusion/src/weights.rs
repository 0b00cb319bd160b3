//! Checkpoints: memory-mapped safetensors files (single, sharded, variants) and named access to their tensors.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use memmap2::Mmap;
use safetensors::{Dtype, SafeTensors};
use tch::{Device, Kind, Tensor};

use crate::error::{Error, Result};

/// Largest shard index that is read.
const MAX_INDEX_BYTES: u64 = 32 << 20;

/// The memory-mapped tensors of one component (`unet/`, `vae/`, ...).
pub struct Checkpoint {
    folder: PathBuf,
    files: Vec<Mmap>,
    entries: BTreeMap<String, Entry>,
}

struct Entry {
    file: usize,
    kind: Kind,
    shape: Vec<i64>,
    start: usize,
    length: usize,
}

impl Checkpoint {
    /// Maps the checkpoint `stem` (`diffusion_pytorch_model` or `model`) in `folder`.
    ///
    /// Without a `variant`, a checkpoint that exists in exactly one variant only (`stem.fp16.safetensors`) is used.
    pub fn open(folder: &Path, stem: &str, variant: Option<&str>) -> Result<Self> {
        let paths = locate(folder, stem, variant)?;
        let mut checkpoint = Self { folder: folder.to_owned(), files: Vec::new(), entries: BTreeMap::new() };
        for path in paths {
            checkpoint.map(&path)?;
        }
        Ok(checkpoint)
    }

    fn map(&mut self, path: &Path) -> Result<()> {
        let corrupt = |reason: String| Error::Checkpoint { path: path.to_owned(), reason };
        let file = std::fs::File::open(path).map_err(|e| Error::model_file(path, e))?;
        let metadata = file.metadata().map_err(|e| Error::model_file(path, e))?;
        if !metadata.is_file() {
            return Err(corrupt("it is not a regular file".into()));
        }
        if metadata.len() < 8 {
            return Err(corrupt(format!("it has {} bytes, too few for a header", metadata.len())));
        }
        #[expect(unsafe_code, reason = "mapping a file is unsafe by signature")]
        // SAFETY: the mapping is read-only and lives as long as every tensor made from it (`Arc<Checkpoint>` in the
        // models). A model folder must not be truncated while it is in use, which is documented in the README.
        let mmap = unsafe { Mmap::map(&file) }.map_err(|e| Error::model_file(path, e))?;
        let (header, metadata) =
            SafeTensors::read_metadata(&mmap).map_err(|e| corrupt(format!("{e}; copy the file again")))?;
        let data_start = header + 8;
        let file = self.files.len();
        for (name, info) in metadata.tensors() {
            let kind = kind_of(info.dtype).ok_or_else(|| {
                corrupt(format!("tensor `{name}` has the type {:?}, which is not supported", info.dtype))
            })?;
            let shape = info.shape.iter().map(|&d| d as i64).collect();
            let (start, end) = info.data_offsets;
            if data_start + end > mmap.len() {
                return Err(corrupt(format!(
                    "tensor `{name}` ends beyond the file; it is truncated, copy it again"
                )));
            }
            let entry = Entry { file, kind, shape, start: data_start + start, length: end - start };
            if self.entries.insert(name.clone(), entry).is_some() {
                return Err(corrupt(format!("tensor `{name}` is in more than one shard")));
            }
        }
        self.files.push(mmap);
        Ok(())
    }

    /// The folder that the files lie in.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Tells the system that the file's pages under `view` are not needed soon. Only a hint: they are read again on use.
    /// Tensors that are no views of this checkpoint are left alone.
    pub(crate) fn release(&self, view: &Tensor) {
        let address = view.data_ptr() as usize;
        let bytes = view.numel() * view.kind().elt_size_in_bytes();
        for file in &self.files {
            let start = file.as_ptr() as usize;
            if (start..start + file.len()).contains(&address) {
                dont_need(file, address - start, bytes.min(start + file.len() - address));
            }
        }
    }

    /// [`Checkpoint::release`] for all tensors: what was encoded once is not encoded again soon.
    pub fn release_all(&self) {
        self.files.iter().for_each(|file| dont_need(file, 0, file.len()));
    }

    /// Bytes of all tensors as stored.
    pub fn stored_bytes(&self) -> u64 {
        self.entries.values().map(|e| e.length as u64).sum()
    }

    /// Number of values in all floating-point tensors.
    pub fn parameters(&self) -> u64 {
        self.entries
            .values()
            .filter(|e| is_float(e.kind))
            .map(|e| e.shape.iter().product::<i64>() as u64)
            .sum()
    }

    /// The storage types that occur, most values first.
    pub fn kinds(&self) -> Vec<Kind> {
        let mut counts: Vec<(Kind, i64)> = Vec::new();
        for entry in self.entries.values().filter(|e| is_float(e.kind)) {
            let values = entry.shape.iter().product::<i64>();
            match counts.iter_mut().find(|(kind, _)| *kind == entry.kind) {
                Some((_, n)) => *n += values,
                None => counts.push((entry.kind, values)),
            }
        }
        counts.sort_by_key(|(_, n)| -n);
        counts.into_iter().map(|(kind, _)| kind).collect()
    }

    /// Feeds what identifies the weights into `hasher`: names, shapes, sizes, and 64 samples of 4 KiB of each file.
    ///
    /// A fingerprint rather than a digest of every byte: gigabytes are not read before the first step. Two trainings
    /// differ in nearly every value, so samples tell them apart.
    pub(crate) fn fingerprint(&self, hasher: &mut impl sha2::Digest) {
        for (name, entry) in &self.entries {
            hasher.update(format!("{name} {:?} {:?}\n", entry.kind, entry.shape));
        }
        for file in &self.files {
            hasher.update((file.len() as u64).to_le_bytes());
            for i in 0..64 {
                let start = (file.len() / 64) * i;
                hasher.update(&file[start..(start + 4096).min(file.len())]);
            }
        }
    }

    /// The first floating-point tensor that holds NaN or infinity, by name.
    pub fn first_non_finite(&self) -> Option<String> {
        let finite = |entry: &Entry| self.view(entry).isfinite().all().int64_value(&[]) != 0;
        self.entries.iter().find(|(_, e)| is_float(e.kind) && !finite(e)).map(|(name, _)| name.clone())
    }

    /// A tensor over the mapped bytes, in the stored type. Misaligned data are copied.
    fn view(&self, entry: &Entry) -> Tensor {
        let bytes = &self.files[entry.file][entry.start..entry.start + entry.length];
        let aligned = (bytes.as_ptr() as usize).is_multiple_of(entry.kind.elt_size_in_bytes());
        if entry.length == 0 || !aligned {
            let copy = Tensor::zeros(&entry.shape, (entry.kind, Device::Cpu));
            if entry.length > 0 {
                #[expect(unsafe_code, reason = "LibTorch's storage is reached by pointer")]
                // SAFETY: a fresh contiguous tensor of `shape` and `kind` holds exactly `length` bytes, which the
                // safetensors header check has made equal to the product of shape and element size.
                unsafe {
                    std::ptr::copy_nonoverlapping(bytes.as_ptr(), copy.data_ptr().cast(), bytes.len());
                }
            }
            return copy;
        }
        let mut strides = vec![1; entry.shape.len()];
        for i in (1..entry.shape.len()).rev() {
            strides[i - 1] = strides[i] * entry.shape[i];
        }
        #[expect(unsafe_code, reason = "a zero-copy view of the mapped file")]
        // SAFETY: the range lies in the mapping and is aligned; the mapping outlives the tensor because every model
        // holds the `Arc<Checkpoint>`; nothing writes to weights in place.
        unsafe {
            Tensor::from_blob(bytes.as_ptr(), &entry.shape, &strides, entry.kind, Device::Cpu)
        }
    }
}

fn dont_need(file: &Mmap, offset: usize, length: usize) {
    #[expect(unsafe_code, reason = "unsafe by signature, as private changes would be lost")]
    // SAFETY: the mapping is read-only, so there are no changes to lose: the pages are read from the file again.
    let advised = unsafe { file.unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, offset, length) };
    if let Err(error) = advised {
        tracing::debug!(%error, "pages of a checkpoint stay in memory");
    }
}

fn is_float(kind: Kind) -> bool {
    matches!(kind, Kind::Float | Kind::Half | Kind::BFloat16 | Kind::Double)
}

fn kind_of(dtype: Dtype) -> Option<Kind> {
    Some(match dtype {
        Dtype::F64 => Kind::Double,
        Dtype::F32 => Kind::Float,
        Dtype::F16 => Kind::Half,
        Dtype::BF16 => Kind::BFloat16,
        Dtype::I64 => Kind::Int64,
        Dtype::I32 => Kind::Int,
        Dtype::U8 => Kind::Uint8,
        Dtype::BOOL => Kind::Bool,
        _ => return None,
    })
}

/// The files that make up a checkpoint.
fn locate(folder: &Path, stem: &str, variant: Option<&str>) -> Result<Vec<PathBuf>> {
    let names = |variant: Option<&str>| match variant {
        None => (format!("{stem}.safetensors"), format!("{stem}.safetensors.index.json")),
        Some(v) => (format!("{stem}.{v}.safetensors"), format!("{stem}.safetensors.index.{v}.json")),
    };
    let find = |variant: Option<&str>| -> Result<Option<Vec<PathBuf>>> {
        let (single, index) = names(variant);
        let (single, index) = (folder.join(single), folder.join(index));
        if single.is_file() {
            return Ok(Some(vec![single]));
        }
        if index.is_file() { shards(&index).map(Some) } else { Ok(None) }
    };
    if let Some(paths) = find(variant)? {
        return Ok(paths);
    }
    let variants = variants_in(folder, stem);
    if variant.is_none()
        && let [only] = variants.as_slice()
        && let Some(paths) = find(Some(only))?
    {
        tracing::info!(folder = %folder.display(), variant = %only, "using the only variant there is");
        return Ok(paths);
    }
    let pickled = ["bin", "ckpt", "pt"].iter().any(|e| folder.join(format!("{stem}.{e}")).exists())
        || folder.join("pytorch_model.bin").exists();
    let hint = if pickled {
        "only a pickled checkpoint is there; save it with safe_serialization=True".to_owned()
    } else if variants.is_empty() {
        "check the folder's path, or download the weights again".to_owned()
    } else {
        format!("choose one of the variants {}", variants.join(", "))
    };
    let what = format!("{} or {}", names(variant).0, names(variant).1);
    Err(Error::ModelIncomplete { folder: folder.to_owned(), what, hint })
}

fn variants_in(folder: &Path, stem: &str) -> Vec<String> {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(rest) = name.strip_prefix(stem).and_then(|r| r.strip_prefix('.')) else { continue };
        let variant = rest
            .strip_suffix(".safetensors")
            .or_else(|| rest.strip_prefix("safetensors.index.").and_then(|r| r.strip_suffix(".json")));
        if let Some(v) = variant.filter(|v| !v.is_empty() && !v.contains("-of-")) {
            found.insert(v.to_owned());
        }
    }
    found.into_iter().collect()
}

/// The shard files that an index names.
fn shards(index: &Path) -> Result<Vec<PathBuf>> {
    let corrupt = |reason: String| Error::Checkpoint { path: index.to_owned(), reason };
    let length = std::fs::metadata(index).map_err(|e| Error::model_file(index, e))?.len();
    if length > MAX_INDEX_BYTES {
        return Err(corrupt(format!("an index of {length} bytes is too large")));
    }
    let text = std::fs::read(index).map_err(|e| Error::model_file(index, e))?;
    let json: serde_json::Value = serde_json::from_slice(&text)
        .map_err(|source| Error::ConfigJson { path: index.to_owned(), source })?;
    let map = json.get("weight_map").and_then(|m| m.as_object());
    let map = map.ok_or_else(|| corrupt("it has no `weight_map` object".into()))?;
    let folder = index.parent().unwrap_or(Path::new("."));
    let mut files = BTreeSet::new();
    for (tensor, file) in map {
        let name = file.as_str().unwrap_or_default();
        let plain = Path::new(name).file_name().is_some_and(|f| f == name);
        if !plain {
            return Err(corrupt(format!(
                "tensor `{tensor}` names the shard {file}, which is not a plain file name"
            )));
        }
        files.insert(folder.join(name));
    }
    if files.is_empty() {
        return Err(corrupt("its `weight_map` is empty".into()));
    }
    Ok(files.into_iter().collect())
}

/// Where and in which type weights are wanted, and the account of what was asked for.
pub struct Weights {
    checkpoint: Arc<Checkpoint>,
    device: Device,
    kind: Kind,
    used: RefCell<BTreeSet<String>>,
    problems: RefCell<Vec<String>>,
}

/// What a finished load says of its checkpoint.
#[derive(Debug, Default, Clone)]
pub struct LoadReport {
    /// Tensors in the checkpoint that the model has no place for.
    pub unused: Vec<String>,
}

impl Weights {
    /// Weights of `checkpoint` for `device` in `kind`.
    pub fn new(checkpoint: Arc<Checkpoint>, device: Device, kind: Kind) -> Self {
        Self { checkpoint, device, kind, used: RefCell::default(), problems: RefCell::default() }
    }

    /// The top of the tensor names.
    pub fn root(&self) -> Scope<'_> {
        Scope { weights: self, prefix: String::new() }
    }

    /// Ends loading: an error that lists every missing or wrong-shaped tensor, or the report.
    pub fn finish(self) -> Result<LoadReport> {
        let problems = self.problems.into_inner();
        if !problems.is_empty() {
            return Err(Error::Tensors { path: self.checkpoint.folder.clone(), problems });
        }
        let used = self.used.into_inner();
        let unused = self.checkpoint.entries.keys().filter(|name| !used.contains(*name)).cloned().collect();
        Ok(LoadReport { unused })
    }

    fn problem(&self, text: String) {
        let mut problems = self.problems.borrow_mut();
        if problems.len() < 20 {
            problems.push(text);
        } else if problems.len() == 20 {
            problems.push("and more".into());
        }
    }
}

/// A path in a checkpoint: `scope / "down_blocks" / 0` is the prefix `down_blocks.0.`.
#[derive(Clone)]
pub struct Scope<'a> {
    weights: &'a Weights,
    prefix: String,
}

impl<'a, D: Display> std::ops::Div<D> for &Scope<'a> {
    type Output = Scope<'a>;

    fn div(self, part: D) -> Scope<'a> {
        Scope { weights: self.weights, prefix: format!("{}{part}.", self.prefix) }
    }
}

impl<'a, D: Display> std::ops::Div<D> for Scope<'a> {
    type Output = Scope<'a>;

    fn div(self, part: D) -> Scope<'a> {
        &self / part
    }
}

impl Scope<'_> {
    /// Whether the checkpoint holds `name` below this path.
    pub fn has(&self, name: &str) -> bool {
        self.weights.checkpoint.entries.contains_key(&format!("{}{name}", self.prefix))
    }

    /// Whether everything asked for so far was there. If not, loading ends in an error, and stand-ins need no copies.
    pub fn intact(&self) -> bool {
        self.weights.problems.borrow().is_empty()
    }

    /// Counts a tensor that some files carry and no forward pass needs as used.
    pub fn ignore(&self, name: &str) {
        self.weights.used.borrow_mut().insert(format!("{}{name}", self.prefix));
    }

    /// The device that weights are loaded to.
    pub fn device(&self) -> Device {
        self.weights.device
    }

    /// The type that weights are loaded in.
    pub fn kind(&self) -> Kind {
        self.weights.kind
    }

    /// The checkpoint that tensors come from.
    pub fn checkpoint(&self) -> &Arc<Checkpoint> {
        &self.weights.checkpoint
    }

    /// The tensor `name` of exactly `shape`, on the wanted device in the wanted type.
    pub fn get(&self, name: &str, shape: &[i64]) -> Tensor {
        let stored = self.stored(name, shape);
        let wanted = stored.to_device(self.device()).to_kind(self.kind());
        if wanted.data_ptr() != stored.data_ptr() {
            self.checkpoint().release(&stored);
        }
        wanted
    }

    /// The tensor `name` of exactly `shape` as stored: a view of the mapped file.
    ///
    /// What is missing or misshaped is noted for [`Weights::finish`]; a memory-free stand-in of the right shape lets
    /// loading go on, so that one error can name everything.
    pub fn stored(&self, name: &str, shape: &[i64]) -> Tensor {
        let full = format!("{}{name}", self.prefix);
        let weights = self.weights;
        let entry = weights.checkpoint.entries.get(&full);
        let problem = match entry {
            None => Some(format!("tensor `{full}` {shape:?} is missing")),
            Some(e) if e.shape != shape => {
                Some(format!("tensor `{full}` has the shape {:?} instead of {shape:?}", e.shape))
            }
            Some(e) if !is_float(e.kind) => {
                Some(format!("tensor `{full}` has the type {:?} instead of a float", e.kind))
            }
            Some(_) => None,
        };
        weights.used.borrow_mut().insert(full);
        match (entry, problem) {
            (Some(entry), None) => weights.checkpoint.view(entry),
            (_, problem) => {
                weights.problem(problem.unwrap_or_default());
                Tensor::zeros([1], (weights.kind, Device::Cpu)).expand(shape, false)
            }
        }
    }
}
