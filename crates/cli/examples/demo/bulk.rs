//! What is submitted: edits of the suite, and rows that are wrong on purpose.

use std::path::Path;

use retouch_cli::failure::{Blame, Failure, chain};
use retouch_evaluation::{Case, Question, Row, Suite, SuiteError};
use retouch_imaging::{EncodeOptions, OutputFormat, RgbImage, encode};
use retouch_scenes::{Level, Renderer};
use serde_json::{Value, json};

use super::server::Server;

/// Edits of each of these levels.
const EDITS: usize = 19;
const LEVELS: [Level; 2] = [Level::Easy, Level::Middle];
/// Somebody waits for the first edits; the others have time.
const INTERACTIVE: usize = 8;

/// A submission that was acknowledged.
pub struct Batch {
    pub id: String,
    pub band: &'static str,
    pub jobs: usize,
}

/// Edits and wrong rows.
pub struct Bulk {
    suite: Suite,
    cases: Vec<Case>,
    questions: Vec<Question>,
    model: String,
}

impl Bulk {
    /// Edits for the model, spread over the suite's easy and middle levels.
    pub fn of_suite(model: &Path) -> Result<Self, Failure> {
        let suite = Suite::spatial().map_err(|error| unjudged(&error))?;
        let of = |level| suite.some(Some(level), Some(EDITS)).into_iter().cloned();
        // Level after level, kind after kind: every second one first, so that both bands have all kinds.
        let all: Vec<Case> = LEVELS.into_iter().flat_map(of).collect();
        let cases: Vec<Case> =
            [0, 1].into_iter().flat_map(|first| all.iter().skip(first).step_by(2).cloned()).collect();
        let mut renderer = Renderer::new();
        let question = |case: &Case| suite.question(case, Row::Plain, &mut renderer);
        let questions: Result<Vec<Question>, SuiteError> = cases.iter().map(question).collect();
        let questions = questions.map_err(|error| unjudged(&error))?;
        let model = model.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Self { suite, cases, questions, model })
    }

    /// The suite that the edits are of.
    pub fn suite(&self) -> &Suite {
        &self.suite
    }

    /// The edits' cases.
    pub fn cases(&self) -> &[Case] {
        &self.cases
    }

    /// The image that a case's edit begins with.
    pub fn before(&self, at: usize) -> &RgbImage {
        &self.questions[at].image
    }

    /// The name of a case's job.
    pub fn key(&self, at: usize) -> String {
        format!("case-{:04}", self.cases[at].id)
    }

    /// The names of all jobs.
    pub fn keys(&self) -> impl Iterator<Item = String> {
        let edits = (0..self.cases.len()).map(|at| self.key(at));
        edits.chain(wrong(&Value::Null).into_iter().map(|(key, _)| key.to_owned()))
    }

    /// How many rows are wrong.
    pub fn bad(&self) -> usize {
        wrong(&Value::Null).len()
    }

    /// How many jobs there are.
    pub fn jobs(&self) -> u64 {
        (self.cases.len() + self.bad()) as u64
    }

    /// Uploads the images and submits all rows: some that somebody waits for, and the bulk with the wrong ones.
    pub async fn submit(&self, server: &Server) -> Result<Vec<Batch>, Failure> {
        let mut rows = Vec::with_capacity(self.cases.len());
        let mut file = Value::Null;
        for (at, question) in self.questions.iter().enumerate() {
            file = server.post("/v1/files", "image/png", png(&question.image)?).await?["id"].take();
            let seed = self.cases[at].id;
            rows.push(json!({
                "key": self.key(at), "image": {"file": file}, "instruction": question.instruction, "seed": seed,
            }));
        }
        let mut bulk = rows.split_off(INTERACTIVE);
        bulk.extend(wrong(&file).into_iter().map(|(key, mut row)| {
            row["key"] = key.into();
            row
        }));
        Ok(vec![self.batch(server, "interactive", rows).await?, self.batch(server, "bulk", bulk).await?])
    }

    async fn batch(&self, server: &Server, band: &'static str, rows: Vec<Value>) -> Result<Batch, Failure> {
        let jobs = rows.len();
        let body = json!({ "band": band, "defaults": {"model": self.model}, "jobs": rows });
        let receipt = server.post("/v1/batches", "application/json", body.to_string().into()).await?;
        Ok(Batch { id: receipt["id"].as_str().unwrap_or_default().to_owned(), band, jobs })
    }
}

/// Rows that cannot be done: an image on a network that is nobody else's, and a model that is not there.
fn wrong(file: &Value) -> [(&'static str, Value); 2] {
    let instruction = "make the vase blue";
    [
        ("wrong-address", json!({ "image": {"url": "http://127.0.0.1/x.png"}, "instruction": instruction })),
        (
            "wrong-model",
            json!({ "image": {"file": file}, "instruction": instruction, "model": "no-such-model" }),
        ),
    ]
}

/// An image as PNG.
pub fn png(image: &RgbImage) -> Result<Vec<u8>, Failure> {
    encode(image, &EncodeOptions::new(OutputFormat::Png), None)
        .map_err(|error| Failure::new(Blame::Program, error.code(), chain(&error)))
}

/// The suite cannot be had.
pub fn unjudged(error: &SuiteError) -> Failure {
    Failure::new(Blame::Program, error.code(), chain(error))
}
