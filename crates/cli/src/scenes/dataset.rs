//! The folder that `retouch scenes render` writes.
//!
//! ```text
//! parameters.json              what decides the pairs; a folder takes pairs of one set of parameters
//! index.jsonl                  one line per pair, in order
//! pairs/000/000042/            one folder per pair, made under another name and renamed
//!   before.png after.png       the images
//!   before-mask.png after-mask.png   grey levels: 0 background, 1 + the object's place in the scene's list
//!   scene.json truth.json      {"before": …, "after": …}
//!   pair.json                  the line of the index
//! ```

use std::fs;
use std::io::{BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};

use retouch_imaging::RgbImage;
use retouch_scenes::{Mask, Pair, Rendered};
use serde_json::{Value, json};
use tempfile::{Builder, NamedTempFile};

use super::png;
use retouch_cli::failure::{Blame, Failure};

/// A pair's own files.
const FILES: [&str; 7] =
    ["before.png", "after.png", "before-mask.png", "after-mask.png", "scene.json", "truth.json", "pair.json"];
/// Unfinished pairs start with this.
const PARTIAL: &str = ".partial-";

/// A folder of pairs.
pub(super) struct Dataset {
    root: PathBuf,
}

impl Dataset {
    /// Opens or makes the folder, for pairs of these parameters alone.
    pub(super) fn open(root: &Path, parameters: &Value) -> Result<Self, Failure> {
        let dataset = Self { root: root.to_owned() };
        make_folder(&root.join("pairs"))?;
        let path = root.join("parameters.json");
        match fs::read(&path) {
            Ok(bytes) => {
                let found: Option<Value> = serde_json::from_slice(&bytes).ok();
                if found.as_ref() != Some(parameters) {
                    let found = found.map_or_else(|| "no JSON".to_owned(), |found| found.to_string());
                    let text = format!(
                        "{} holds pairs of other parameters ({found}), choose another folder",
                        root.display()
                    );
                    return Err(Failure::new(Blame::Parameters, "output_of_other_parameters", text));
                }
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                dataset.write_whole("parameters.json", |file| writeln!(file, "{parameters}"))?;
            }
            Err(error) => return Err(Failure::file("read", &path, &error)),
        }
        dataset.remove_partial()?;
        Ok(dataset)
    }

    /// What a killed run has left behind.
    fn remove_partial(&self) -> Result<(), Failure> {
        let entries = fs::read_dir(&self.root).map_err(|error| Failure::file("read", &self.root, &error))?;
        for entry in entries.filter_map(Result::ok) {
            if entry.file_name().to_string_lossy().starts_with(PARTIAL) {
                let path = entry.path();
                fs::remove_dir_all(&path).map_err(|error| Failure::file("remove", &path, &error))?;
            }
        }
        Ok(())
    }

    fn folder(&self, number: u64) -> PathBuf {
        self.root.join(relative(number))
    }

    /// Whether a pair is there whole. A machine that lost its power may leave files without content.
    pub(super) fn has(&self, number: u64) -> bool {
        let folder = self.folder(number);
        let whole = |file: &&str| folder.join(file).metadata().is_ok_and(|metadata| metadata.len() > 0);
        FILES.iter().all(whole)
    }

    /// Writes a pair, whole or not at all.
    pub(super) fn put(
        &self,
        number: u64,
        pair: &Pair,
        before: &Rendered,
        after: &Rendered,
    ) -> Result<(), Failure> {
        let contents: [Vec<u8>; 7] = [
            png(&before.image)?,
            png(&after.image)?,
            png(&mask_image(&before.mask))?,
            png(&mask_image(&after.mask))?,
            json!({ "before": pair.before, "after": pair.after }).to_string().into_bytes(),
            json!({ "before": before.truth, "after": after.truth }).to_string().into_bytes(),
            line(number, pair).to_string().into_bytes(),
        ];
        let folder = self.folder(number);
        let partial = Builder::new()
            .prefix(PARTIAL)
            .tempdir_in(&self.root)
            .map_err(|error| Failure::file("write to", &self.root, &error))?;
        for (file, content) in FILES.iter().zip(contents) {
            let path = partial.path().join(file);
            fs::write(&path, content).map_err(|error| Failure::file("write", &path, &error))?;
        }
        if let Some(parent) = folder.parent() {
            make_folder(parent)?;
        }
        // Only a folder that is not whole can be in the way.
        match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(Failure::file("replace", &folder, &error));
            }
            _ => {}
        }
        fs::rename(partial.path(), &folder).map_err(|error| Failure::file("write", &folder, &error))?;
        // It has another name now, and stays.
        let _ = partial.keep();
        open_to_all(&folder)
    }

    /// Writes the index of the pairs that are there; how many.
    pub(super) fn write_index(&self, count: u64) -> Result<u64, Failure> {
        let mut lines = 0;
        self.write_whole("index.jsonl", |file| {
            for number in (0..count).filter(|number| self.has(*number)) {
                let line = fs::read(self.folder(number).join("pair.json"))?;
                file.write_all(&line)?;
                file.write_all(b"\n")?;
                lines += 1;
            }
            Ok(())
        })?;
        Ok(lines)
    }

    fn write_whole(
        &self,
        name: &str,
        write: impl FnOnce(&mut BufWriter<&mut NamedTempFile>) -> std::io::Result<()>,
    ) -> Result<(), Failure> {
        let path = self.root.join(name);
        write_whole(&path, write)
    }
}

/// Writes a file whole or not at all.
pub(super) fn write_whole(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<&mut NamedTempFile>) -> std::io::Result<()>,
) -> Result<(), Failure> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let attempt = || -> std::io::Result<()> {
        let mut file = Builder::new().permissions(permissions(0o666)).tempfile_in(parent)?;
        let mut writer = BufWriter::new(&mut file);
        write(&mut writer)?;
        writer.flush()?;
        drop(writer);
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    };
    attempt().map_err(|error| Failure::file("write", path, &error))
}

fn permissions(mode: u32) -> fs::Permissions {
    std::os::unix::fs::PermissionsExt::from_mode(mode)
}

/// Temporary folders are for their owner alone; the result is like any other folder.
fn open_to_all(folder: &Path) -> Result<(), Failure> {
    fs::set_permissions(folder, permissions(0o755)).map_err(|error| Failure::file("write", folder, &error))
}

fn make_folder(folder: &Path) -> Result<(), Failure> {
    fs::create_dir_all(folder).map_err(|error| Failure::file("make the folder", folder, &error))
}

fn relative(number: u64) -> String {
    format!("pairs/{:03}/{number:06}", number / 1000)
}

fn line(number: u64, pair: &Pair) -> Value {
    let folder = relative(number);
    json!({
        "id": format!("{number:06}"),
        "seed": pair.seed,
        "before": format!("{folder}/before.png"),
        "after": format!("{folder}/after.png"),
        "instruction": pair.instruction,
        "language": pair.language,
        "intents": pair.intents,
        "captions": pair.captions,
        "level": pair.level,
        "kind": pair.kind,
        "combinations": pair.combinations,
    })
}

fn mask_image(mask: &Mask) -> RgbImage {
    let (width, height) = mask.dimensions();
    let bytes = mask.as_raw().iter().flat_map(|id| [*id; 3]).collect();
    RgbImage::from_raw(width, height, bytes).expect("three bytes per pixel")
}
