//! Examples from a folder of pairs: `index.jsonl` names the images and says the texts.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use retouch_diffusion::training::{Example, Examples, Picture};
use retouch_imaging::{Filter, Limits};
use serde::Deserialize;

use crate::failure::{Blame, Failure};

/// Name of the list of pairs.
const INDEX: &str = "index.jsonl";

/// A folder of pairs.
pub(crate) struct Folder {
    root: PathBuf,
    entries: Vec<Entry>,
    size: u32,
}

/// A line of the index. Lines may say more, which trains nobody.
#[derive(Deserialize)]
struct Entry {
    /// Path of the image before, below the folder.
    before: PathBuf,
    /// Path of the image after.
    after: PathBuf,
    instruction: String,
    captions: Captions,
}

/// What the images show.
#[derive(Deserialize)]
struct Captions {
    before: String,
    after: String,
}

impl Folder {
    /// Reads the index of `root`. Images are read when they are asked for, and brought to `size` pixels a side.
    pub(crate) fn open(root: &Path, size: u32) -> Result<Self, Failure> {
        let path = root.join(INDEX);
        let file = File::open(&path).map_err(|e| Failure::file("read", &path, &e))?;
        let mut entries = Vec::new();
        for (i, line) in BufReader::new(file).lines().enumerate() {
            let line = line.map_err(|e| Failure::file("read", &path, &e))?;
            let bad = |reason: String| {
                let message = format!("{} line {}: {reason}", path.display(), i + 1);
                Failure::new(Blame::File, "training_index_invalid", message)
            };
            let entry: Entry = serde_json::from_str(&line).map_err(|e| bad(e.to_string()))?;
            for name in [&entry.before, &entry.after] {
                let inside = name.components().all(|part| matches!(part, std::path::Component::Normal(_)));
                if !inside {
                    return Err(bad(format!("{} leads out of the folder", name.display())));
                }
            }
            entries.push(entry);
        }
        if entries.is_empty() {
            let message = format!("{} lists no pairs", path.display());
            return Err(Failure::new(Blame::File, "training_index_invalid", message));
        }
        Ok(Self { root: root.to_owned(), entries, size })
    }

    fn picture(&self, name: &Path) -> Result<Picture, String> {
        let path = self.root.join(name);
        let bytes = std::fs::read(&path).map_err(|e| format!("cannot read {}: {e}", path.display()))?;
        let bad = |e: retouch_imaging::ImageError| format!("{}: {e}", path.display());
        let image = retouch_imaging::decode(&bytes, &Limits::default()).map_err(bad)?.pixels;
        let image = match image.dimensions() {
            (w, h) if (w, h) == (self.size, self.size) => image,
            _ => retouch_imaging::resize(&image, self.size, self.size, Filter::Lanczos).map_err(bad)?,
        };
        Ok(Picture { size: self.size, rgb: image.into_raw() })
    }
}

impl Examples for Folder {
    fn len(&self) -> Option<u64> {
        Some(self.entries.len() as u64)
    }

    fn get(&self, index: u64) -> Result<Example, String> {
        let entry =
            usize::try_from(index).ok().and_then(|i| self.entries.get(i)).ok_or("there is no such pair")?;
        Ok(Example {
            before: self.picture(&entry.before)?,
            after: self.picture(&entry.after)?,
            instruction: entry.instruction.clone(),
            caption_before: entry.captions.before.clone(),
            caption_after: entry.captions.after.clone(),
        })
    }
}
