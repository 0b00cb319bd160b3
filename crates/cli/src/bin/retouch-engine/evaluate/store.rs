//! The folder of an evaluation.
//!
//! ```text
//! parameters.json     what decides the results; a folder takes results of one set of parameters
//! plain/0042.png      the result of case 42 in the row `plain`, with the seconds that it took
//! results.json        scores, as printed with --json
//! results.txt         the same as a table
//! sheet.png           some of the results side by side
//! ```

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use retouch_evaluation::Row;
use retouch_imaging::{EncodeOptions, Limits, OutputFormat, RgbImage, decode, encode, read_parameters};
use serde_json::{Value, json};

use crate::failure::{Blame, Failure};
use crate::write::write_atomically;

pub(super) struct Store {
    root: PathBuf,
}

impl Store {
    /// Opens or makes the folder, for results of these parameters alone.
    pub(super) fn open(root: &Path, parameters: &Value) -> Result<Self, Failure> {
        let store = Self { root: root.to_owned() };
        fs::create_dir_all(root).map_err(|error| Failure::file("make", root, &error))?;
        let path = root.join("parameters.json");
        match fs::read(&path) {
            Ok(bytes) => {
                let found: Option<Value> = serde_json::from_slice(&bytes).ok();
                if found.as_ref() != Some(parameters) {
                    let found = found.map_or_else(|| "no JSON".to_owned(), |found| found.to_string());
                    let text = format!(
                        "{} holds results of other parameters ({found}), choose another folder",
                        root.display()
                    );
                    return Err(Failure::new(Blame::Parameters, "output_of_other_parameters", text));
                }
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                write_atomically(&path, format!("{parameters}\n").as_bytes())?;
            }
            Err(error) => return Err(Failure::file("read", &path, &error)),
        }
        Ok(store)
    }

    fn path(&self, row: Row, case: u32) -> PathBuf {
        self.root.join(row.name()).join(format!("{case:04}.png"))
    }

    /// Whether a result is there. Files are written whole or not at all; one without content is of a lost disk cache.
    pub(super) fn has(&self, row: Row, case: u32) -> bool {
        self.path(row, case).metadata().is_ok_and(|metadata| metadata.len() > 0)
    }

    /// Writes a result and the seconds that a model took for it.
    pub(super) fn put(
        &self,
        row: Row,
        case: u32,
        image: &RgbImage,
        seconds: Option<f64>,
    ) -> Result<(), Failure> {
        let path = self.path(row, case);
        let folder = self.root.join(row.name());
        fs::create_dir_all(&folder).map_err(|error| Failure::file("make", &folder, &error))?;
        let parameters = json!({ "row": row.name(), "case": case, "seconds": seconds }).to_string();
        let file = encode(image, &EncodeOptions::new(OutputFormat::Png), Some(&parameters))
            .map_err(|error| Failure::image(&path, &error))?;
        write_atomically(&path, &file)
    }

    /// A result, and the seconds that a model took for it.
    pub(super) fn get(&self, row: Row, case: u32) -> Result<(RgbImage, Option<f64>), Failure> {
        let path = self.path(row, case);
        let file = fs::read(&path).map_err(|error| Failure::file("read", &path, &error))?;
        let failed = |error| Failure::image(&path, &error);
        let image = decode(&file, &Limits::default()).map_err(failed)?.pixels;
        let parameters = read_parameters(&file).map_err(failed)?;
        let parameters: Option<Value> = parameters.and_then(|text| serde_json::from_str(&text).ok());
        Ok((image, parameters.and_then(|parameters| parameters["seconds"].as_f64())))
    }

    /// Writes one of the files about all results.
    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> Result<(), Failure> {
        write_atomically(&self.root.join(name), bytes)
    }
}
