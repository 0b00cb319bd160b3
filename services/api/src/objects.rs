//! Batches and jobs as clients see them.

use retouch_domain::Counts;
use retouch_ports::jobs::edit::Edited;
use retouch_ports::jobs::pairs::PackedShard;
use retouch_ports::store::{AttemptRecord, BatchRecord, JobRecord};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::moment;
use crate::work::load::{Meta, VerdictCounts};

/// How many jobs of a batch are where.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CountsObject {
    /// Accepted.
    total: i64,
    /// Not over.
    live: i64,
    /// Ended with a result.
    succeeded: i64,
    /// Ended with an error.
    failed: i64,
    /// Called off.
    canceled: i64,
    /// Ended by their deadline.
    expired: i64,
}

impl From<Counts> for CountsObject {
    fn from(counts: Counts) -> Self {
        let Counts { total, succeeded, failed, canceled, expired } = counts;
        Self { total, live: counts.live(), succeeded, failed, canceled, expired }
    }
}

/// A batch as it stands.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BatchObject {
    /// Its id.
    pub(crate) id: String,
    /// What you call it.
    label: Option<String>,
    /// `interactive`, `standard` or `bulk`.
    band: &'static str,
    /// `loading`, `open`, `completed`, `canceled` or `failed`.
    state: &'static str,
    /// Its dispatch is stopped.
    paused: bool,
    /// It was called off.
    cancel_requested: bool,
    /// How often it was opened; a retry opens it again.
    generation: u32,
    /// How many jobs are where.
    counts: CountsObject,
    /// How many rows got which verdict.
    verdicts: VerdictCounts,
    /// What you keep with it.
    #[schema(value_type = Object)]
    metadata: Map<String, Value>,
    /// When it was stored.
    created_at: String,
    /// When its last job ended.
    ended_at: Option<String>,
}

impl From<BatchRecord> for BatchObject {
    fn from(batch: BatchRecord) -> Self {
        // What others than this API stored has no metadata of this form.
        let metadata = serde_json::from_value::<Meta>(batch.meta).map(|meta| meta.metadata);
        Self {
            id: batch.id.to_string(),
            label: batch.label,
            band: batch.band.code(),
            state: batch.state.code(),
            paused: batch.paused,
            cancel_requested: batch.cancel_requested,
            generation: batch.generation,
            counts: batch.counts.into(),
            verdicts: batch.totals.into(),
            metadata: metadata.unwrap_or_default(),
            created_at: moment::text(batch.created_at),
            ended_at: batch.ended_at.map(moment::text),
        }
    }
}

/// Why a job, or one run of it, failed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ErrorObject {
    /// The stable code.
    code: String,
    /// What happened and what to do.
    message: String,
}

impl From<retouch_domain::JobError> for ErrorObject {
    fn from(error: retouch_domain::JobError) -> Self {
        Self { code: error.code.to_string(), message: error.message }
    }
}

/// How far a running job is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProgressObject {
    /// Steps done.
    done: u32,
    /// Steps in all; 0 while not known.
    total: u32,
}

/// An image that came of a job.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ImageObject {
    /// Where it is downloaded.
    url: String,
    /// Its media type.
    media_type: String,
    /// Its size in bytes.
    bytes: u64,
    /// The SHA-256 of its bytes, in hexadecimal.
    sha256: String,
    /// Its width in pixels.
    width: u32,
    /// Its height in pixels.
    height: u32,
    /// The seed of its noise.
    seed: u64,
    /// The end of the instruction that the model had no room for, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    truncated: Option<String>,
}

/// A shard that came of a job.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ShardObject {
    /// Where it is downloaded.
    url: String,
    /// The name that it has among the shards of its dataset.
    name: String,
    /// The pairs in it.
    samples: u64,
    /// Its size in bytes.
    bytes: u64,
    /// The SHA-256 of its bytes, in hexadecimal.
    sha256: String,
}

/// A run that ended.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AttemptObject {
    /// Its number.
    epoch: u32,
    /// How it ended.
    outcome: String,
    /// Whether it counts against the job.
    charged: bool,
    /// Why it failed.
    error: Option<ErrorObject>,
    /// When it started.
    started_at: String,
    /// When it ended.
    ended_at: String,
    /// Its share of the device's time in milliseconds.
    device_ms: u64,
}

impl From<AttemptRecord> for AttemptObject {
    fn from(run: AttemptRecord) -> Self {
        Self {
            epoch: run.epoch,
            outcome: run.outcome,
            charged: run.charged,
            error: run.error.map(ErrorObject::from),
            started_at: moment::text(run.started_at),
            ended_at: moment::text(run.ended_at),
            device_ms: run.cost.device_ms,
        }
    }
}

/// A job as it stands.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct JobObject {
    /// Its id.
    pub(crate) id: String,
    /// Its batch.
    batch: String,
    /// Your name for it.
    key: Option<String>,
    /// `blocked`, `queued`, `scheduled`, `running`, `succeeded`, `failed`, `canceled` or `expired`.
    state: &'static str,
    /// What it does.
    kind: String,
    /// With which parameters: those of an edit, or those of a part of a dataset.
    parameters: Value,
    /// How often it was started.
    starts: u32,
    /// How far it is, while it runs.
    progress: Option<ProgressObject>,
    /// What came of an edit.
    images: Vec<ImageObject>,
    /// What came of packing.
    #[serde(skip_serializing_if = "Option::is_none")]
    shard: Option<ShardObject>,
    /// Why it failed.
    error: Option<ErrorObject>,
    /// When it was stored.
    created_at: String,
    /// When it ended.
    ended_at: Option<String>,
}

impl From<JobRecord> for JobObject {
    fn from(job: JobRecord) -> Self {
        let id = job.spec.id.to_string();
        Self {
            shard: job.output.as_ref().and_then(|output| shard(&id, output)),
            images: images(&id, job.output),
            batch: job.batch.to_string(),
            key: job.spec.key,
            state: job.state.code(),
            kind: job.spec.kind.to_string(),
            parameters: job.spec.payload,
            starts: job.tally.starts,
            progress: job.run.map(|run| ProgressObject { done: run.step, total: run.steps }),
            error: job.error.map(ErrorObject::from),
            created_at: moment::text(job.created_at),
            ended_at: job.ended_at.map(moment::text),
            id,
        }
    }
}

/// The images of an output; what other kinds put out has none.
fn images(job: &str, output: Option<Value>) -> Vec<ImageObject> {
    let edited = output.and_then(|output| serde_json::from_value::<Edited>(output).ok());
    let files = edited.map(|edited| edited.files).unwrap_or_default();
    let object = |(place, file): (usize, retouch_ports::jobs::edit::EditedFile)| ImageObject {
        url: format!("/v1/jobs/{job}/images/{place}"),
        media_type: file.media_type,
        bytes: file.bytes,
        sha256: file.hash,
        width: file.width,
        height: file.height,
        seed: file.seed,
        truncated: file.truncated,
    };
    files.into_iter().enumerate().map(object).collect()
}

/// The shard of an output; what other kinds put out has none.
fn shard(job: &str, output: &Value) -> Option<ShardObject> {
    let shard = PackedShard::deserialize(output).ok()?;
    let (url, name) = (format!("/v1/jobs/{job}/shard"), shard.name().to_owned());
    Some(ShardObject { url, name, samples: shard.samples, bytes: shard.bytes, sha256: shard.hash })
}
