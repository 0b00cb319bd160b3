//! Checkpoints: memory-mapped safetensors files, single, sharded or as variants.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use memmap2::Mmap;
use safetensors::{Dtype, SafeTensors};
use tch::{Device, Kind, Tensor};

use crate::error::{Error, Result, shorten};
use crate::files::{read_small, regular};
use crate::training::Parameters;

/// Longest header of a safetensors file; one with 10,000 tensors has 1 MiB.
const MAX_HEADER_BYTES: u64 = 16 << 20;

/// The tensors of one component (`unet/`, `vae/`, ...): memory-mapped, or in training.
pub struct Checkpoint {
    folder: PathBuf,
    files: Vec<Mmap>,
    entries: BTreeMap<String, Entry>,
    parameters: Option<Parameters>,
}

struct Entry {
    file: usize,
    dtype: Dtype,
    shape: Vec<i64>,
    start: usize,
    length: usize,
}

impl Entry {
    /// LibTorch's name of the type of a weight; `None` for types that no weight is loaded from.
    fn kind(&self) -> Option<Kind> {
        match self.dtype {
            Dtype::F64 => Some(Kind::Double),
            Dtype::F32 => Some(Kind::Float),
            Dtype::F16 => Some(Kind::Half),
            Dtype::BF16 => Some(Kind::BFloat16),
            _ => None,
        }
    }

    /// Type and number of values of a weight; counted in bytes, as sizes beside a 0 may be of any magnitude.
    fn weights(&self) -> Option<(Kind, u64)> {
        self.kind().map(|kind| (kind, (self.length / kind.elt_size_in_bytes()) as u64))
    }
}

impl Checkpoint {
    /// Maps the checkpoint `stem` (`diffusion_pytorch_model` or `model`) in `folder`.
    ///
    /// Without a `variant`, a checkpoint that exists in exactly one variant only (`stem.fp16.safetensors`) is used.
    pub fn open(folder: &Path, stem: &str, variant: Option<&str>) -> Result<Self> {
        let paths = locate(folder, stem, variant)?;
        let mut checkpoint =
            Self { folder: folder.to_owned(), files: Vec::new(), entries: BTreeMap::new(), parameters: None };
        for path in paths {
            checkpoint.map(&path)?;
        }
        Ok(checkpoint)
    }

    /// A network in training: its tensors are made as they are asked for.
    pub(crate) fn in_training(parameters: Parameters) -> Self {
        Self {
            folder: PathBuf::new(),
            files: Vec::new(),
            entries: BTreeMap::new(),
            parameters: Some(parameters),
        }
    }

    /// The tensors of a network in training.
    pub(crate) fn trained(&self) -> Option<&Parameters> {
        self.parameters.as_ref()
    }

    /// All tensors by name as stored, on the CPU.
    pub(crate) fn tensors(&self) -> impl Iterator<Item = (&String, Tensor)> {
        self.entries.iter().filter_map(|(name, entry)| {
            Some((name, self.view(entry, entry.kind().filter(|_| entry.length > 0)?)))
        })
    }

    fn map(&mut self, path: &Path) -> Result<()> {
        let corrupt = |reason: String| Error::Checkpoint { path: path.to_owned(), reason };
        let length = regular(path)?;
        if length < 8 {
            return Err(corrupt(format!("it has {length} bytes, too few for a header")));
        }
        let file = std::fs::File::open(path).map_err(|e| Error::model_file(path, e))?;
        #[expect(unsafe_code, reason = "mapping a file is unsafe by signature")]
        // SAFETY: the mapping is read-only and lives as long as every tensor made from it (`Arc<Checkpoint>` in the
        // models). A model folder must not be truncated while it is in use, which is documented in the README.
        let mmap = unsafe { Mmap::map(&file) }.map_err(|e| Error::model_file(path, e))?;
        let header = mmap.first_chunk().map_or(0, |&bytes| u64::from_le_bytes(bytes));
        if header > MAX_HEADER_BYTES {
            return Err(corrupt(format!("its header has {header} bytes, more than {MAX_HEADER_BYTES}")));
        }
        let (header, metadata) = SafeTensors::read_metadata(&mmap)
            .map_err(|e| corrupt(format!("{}; copy the file again", shorten(e.to_string()))))?;
        let data_start = header + 8;
        let file = self.files.len();
        for (name, info) in metadata.tensors() {
            let shape = info.shape.iter().map(|&d| d as i64).collect();
            let (start, end) = info.data_offsets;
            let dtype = info.dtype;
            let entry = Entry { file, dtype, shape, start: data_start + start, length: end - start };
            if self.entries.insert(name.clone(), entry).is_some() {
                let name = shorten(name);
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

    /// Tells the system that no page of the files is needed soon. Only a hint: they are read again on use.
    pub fn release_all(&self) {
        self.files.iter().for_each(|file| dont_need(file, 0, file.len()));
    }

    /// Bytes of all tensors as stored.
    pub fn stored_bytes(&self) -> u64 {
        self.entries.values().map(|e| e.length as u64).sum()
    }

    /// Number of values in all floating-point tensors.
    pub fn parameters(&self) -> u64 {
        self.entries.values().filter_map(Entry::weights).map(|(_, values)| values).sum()
    }

    /// The storage types that occur, most values first.
    pub fn kinds(&self) -> Vec<Kind> {
        let mut counts: Vec<(Kind, u64)> = Vec::new();
        for (kind, values) in self.entries.values().filter_map(Entry::weights) {
            match counts.iter_mut().find(|(known, _)| *known == kind) {
                Some((_, n)) => *n += values,
                None => counts.push((kind, values)),
            }
        }
        counts.sort_by_key(|&(_, n)| std::cmp::Reverse(n));
        counts.into_iter().map(|(kind, _)| kind).collect()
    }

    /// Feeds what identifies the weights into `hasher`: names, shapes, sizes, and 64 samples of 4 KiB of each file.
    ///
    /// A fingerprint rather than a digest of every byte: gigabytes are not read before the first step. Two trainings
    /// differ in nearly every value, so samples tell them apart.
    pub(crate) fn fingerprint(&self, hasher: &mut impl sha2::Digest) {
        for (name, entry) in &self.entries {
            hasher.update(format!("{name} {:?} {:?}\n", entry.dtype, entry.shape));
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
        let finite = |entry: &Entry, kind: Kind| {
            entry.length == 0 || self.view(entry, kind).isfinite().all().int64_value(&[]) != 0
        };
        let bad = |entry: &Entry| entry.kind().is_some_and(|kind| !finite(entry, kind));
        self.entries.iter().find(|(_, entry)| bad(entry)).map(|(name, _)| shorten(name.clone()))
    }

    /// The names of all tensors.
    pub(crate) fn names(&self) -> impl Iterator<Item = &String> {
        self.entries.keys()
    }

    /// Whether there is a tensor `name`.
    pub(crate) fn contains(&self, name: &str) -> bool {
        self.entries.contains_key(name)
    }

    /// The tensor `name` of exactly `shape` as stored, on the CPU; or what is wrong with it.
    pub(crate) fn tensor(&self, name: &str, shape: &[i64]) -> Result<Tensor, String> {
        match self.entries.get(name) {
            None => Err(format!("tensor `{name}` {shape:?} is missing")),
            Some(e) if e.shape != shape => {
                let have = shorten(format!("{:?}", e.shape));
                Err(format!("tensor `{name}` has the shape {have} instead of {shape:?}"))
            }
            Some(e) => e.kind().map(|kind| self.view(e, kind)).ok_or_else(|| {
                format!("tensor `{name}` has the type {:?} instead of F32, F16, BF16 or F64", e.dtype)
            }),
        }
    }

    /// A tensor over the mapped bytes of an entry that is not empty, in its stored type `kind`. Misaligned data are
    /// copied.
    fn view(&self, entry: &Entry, kind: Kind) -> Tensor {
        let bytes = &self.files[entry.file][entry.start..entry.start + entry.length];
        if !(bytes.as_ptr() as usize).is_multiple_of(kind.elt_size_in_bytes()) {
            let copy = Tensor::zeros(&entry.shape, (kind, Device::Cpu));
            #[expect(unsafe_code, reason = "LibTorch's storage is reached by pointer")]
            // SAFETY: a fresh contiguous tensor of `shape` and `kind` holds exactly `length` bytes, which the safetensors
            // header check has made equal to the product of shape and element size.
            unsafe {
                std::ptr::copy_nonoverlapping(bytes.as_ptr(), copy.data_ptr().cast(), bytes.len());
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
            Tensor::from_blob(bytes.as_ptr(), &entry.shape, &strides, kind, Device::Cpu)
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

/// The files that make up a checkpoint.
fn locate(folder: &Path, stem: &str, variant: Option<&str>) -> Result<Vec<PathBuf>> {
    let names = |variant: Option<&str>| match variant {
        None => (format!("{stem}.safetensors"), format!("{stem}.safetensors.index.json")),
        Some(v) => (format!("{stem}.{v}.safetensors"), format!("{stem}.safetensors.index.{v}.json")),
    };
    let find = |variant: Option<&str>| -> Result<Option<Vec<PathBuf>>> {
        let (single, index) = names(variant);
        let (single, index) = (folder.join(single), folder.join(index));
        if single.exists() {
            return Ok(Some(vec![single]));
        }
        if index.exists() { shards(&index).map(Some) } else { Ok(None) }
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
    } else if variant.is_some() && find(None)?.is_some() {
        "only the plain checkpoint is there: leave the variant out".to_owned()
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
    let json: serde_json::Value = serde_json::from_slice(&read_small(index)?)
        .map_err(|source| Error::ConfigJson { path: index.to_owned(), source })?;
    let map = json.get("weight_map").and_then(|m| m.as_object());
    let map = map.ok_or_else(|| corrupt("it has no `weight_map` object".into()))?;
    let folder = index.parent().unwrap_or(Path::new("."));
    let mut files = BTreeSet::new();
    for (tensor, file) in map {
        let name = file.as_str().unwrap_or_default();
        let plain = Path::new(name).file_name().is_some_and(|f| f == name);
        if !plain {
            let (tensor, file) = (shorten(tensor.clone()), shorten(file.to_string()));
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
