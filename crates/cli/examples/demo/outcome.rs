//! What came of it: what was lost, what is wrong, what is as asked.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use retouch_cli::drawing::{self, LINE, PAPER};
use retouch_cli::failure::{Blame, Failure, chain};
use retouch_evaluation::Detector;
use retouch_imaging::{Limits, RgbImage, decode};
use serde_json::Value;

use super::bulk::{Batch, Bulk, png, unjudged};
use super::server::Server;

const GAP: u32 = 8;
/// Pairs side by side on the sheet.
const COLUMNS: usize = 4;

/// What the server answers about all jobs.
pub struct Outcome {
    /// Jobs with a result, by their names, as often as they are told.
    images: Vec<(String, Vec<u8>)>,
    /// Jobs without, and why.
    errors: BTreeMap<String, String>,
}

impl Outcome {
    /// Downloads all results.
    pub async fn fetch(server: &Server, batches: &[Batch], bulk: &Bulk) -> Result<Self, Failure> {
        let mut outcome = Self { images: Vec::with_capacity(bulk.cases().len()), errors: BTreeMap::new() };
        for batch in batches {
            for job in lines(&server.bytes(&format!("/v1/batches/{}/results.jsonl", batch.id)).await?) {
                let image = server.bytes(job["images"][0]["url"].as_str().unwrap_or_default()).await?;
                outcome.images.push((text(&job["key"]), image));
            }
            for job in lines(&server.bytes(&format!("/v1/batches/{}/errors.jsonl", batch.id)).await?) {
                outcome.errors.insert(text(&job["key"]), text(&job["error"]["code"]));
            }
        }
        Ok(outcome)
    }

    /// The names of jobs that have no result, and their codes.
    pub fn refused(&self) -> impl Iterator<Item = (&String, &String)> {
        self.errors.iter()
    }

    /// How many jobs were acknowledged and have neither a result nor an error.
    pub fn lost(&self, bulk: &Bulk) -> usize {
        let told: BTreeSet<&String> =
            self.images.iter().map(|(key, _)| key).chain(self.errors.keys()).collect();
        bulk.keys().filter(|key| !told.contains(key)).count()
    }

    /// How many results there are beyond one for each job.
    pub fn doubled(&self) -> usize {
        let once: BTreeSet<&String> = self.images.iter().map(|(key, _)| key).collect();
        self.images.len() - once.len() + once.iter().filter(|key| self.errors.contains_key(**key)).count()
    }

    /// Judges the results, in the order of the cases.
    pub fn judge(&self, bulk: &Bulk) -> Result<Judged, Failure> {
        let by_key: BTreeMap<&String, &Vec<u8>> =
            self.images.iter().map(|(key, image)| (key, image)).collect();
        let mut detector = Detector::new(bulk.suite());
        let mut results = Vec::with_capacity(bulk.cases().len());
        for (at, case) in bulk.cases().iter().enumerate() {
            let Some(bytes) = by_key.get(&bulk.key(at)) else {
                results.push(None);
                continue;
            };
            let image = decode(bytes, &Limits::default())
                .map_err(|error| Failure::new(Blame::Server, error.code(), chain(&error)))?
                .pixels;
            let verdict = detector.judge(case, &image, None).map_err(|error| unjudged(&error))?;
            results.push(Some((image, verdict.done)));
        }
        Ok(Judged(results))
    }
}

/// The results and whether they are as asked; `None` where there is none.
pub struct Judged(Vec<Option<(RgbImage, bool)>>);

impl Judged {
    /// How many are as asked.
    pub fn right(&self) -> usize {
        self.0.iter().flatten().filter(|(_, right)| *right).count()
    }

    /// Draws before, instruction and after.
    pub fn draw(&self, bulk: &Bulk, path: &Path) -> Result<(), Failure> {
        let size = bulk.suite().size;
        let tile = 2 * size + 3 * GAP;
        let texts: Vec<Vec<String>> =
            bulk.cases().iter().map(|case| drawing::wrapped(&case.instruction, tile - 2 * GAP)).collect();
        let lines = texts.iter().map(Vec::len).max().unwrap_or(0) as u32;
        let height = size + 2 * GAP + lines * LINE;
        let rows = self.0.len().div_ceil(COLUMNS) as u32;
        let mut sheet = RgbImage::new(COLUMNS as u32 * tile, GAP + rows * height);
        sheet.fill(PAPER);
        for (at, result) in self.0.iter().enumerate() {
            let left = (at % COLUMNS) as u32 * tile + GAP;
            let top = (at / COLUMNS) as u32 * height + GAP;
            drawing::place(&mut sheet, bulk.before(at), (left, top));
            if let Some((image, right)) = result {
                drawing::place_judged(&mut sheet, image, (left + size + GAP, top), *right);
            }
            for (line, index) in texts[at].iter().zip(0..) {
                drawing::write(&mut sheet, line, (left, top + size + GAP / 2 + index * LINE), drawing::INK);
            }
        }
        std::fs::write(path, png(&sheet)?).map_err(|error| Failure::file("write", path, &error))
    }
}

fn lines(body: &[u8]) -> Vec<Value> {
    let lines = body.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_slice(line).unwrap_or_default()).collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
