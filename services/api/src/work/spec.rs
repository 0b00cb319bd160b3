//! One edit as users write it.

use std::time::Duration;

use retouch_domain::spec::{InvalidJob, MAX_TIMEOUT};
use retouch_domain::{JobId, NewJob, RetryPolicy, TenantId, Timestamp};
use retouch_ports::jobs::edit::{self, Edit, FileFormat, GuidanceMode, Source};
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::moment;
use crate::options::Options;
use crate::problem::FieldError;
use crate::routes::files;

/// How long a run may take if nothing else is said.
const TIMEOUT_SECONDS: u64 = 600;
/// Device time of one step of one image of 512 × 512, for estimates; fairness and `dry_run` count it.
const STEP_MS: f64 = 40.0;
/// Longest side of an image to edit at, in pixels.
const MAX_SIDE: u32 = 2048;
const MAX_STEPS: u32 = 1000;

/// Where an image comes from.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ImageSpec {
    /// The id of an uploaded file.
    File(String),
    /// An address on the public Internet (http or https).
    Url(String),
}

/// Whether the text scale follows the instruction and the emerging image.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum GuidanceSpec {
    /// The same at every step.
    Fixed,
    /// Following the instruction and the image.
    Dynamic,
}

/// A format of results.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FormatSpec {
    /// PNG.
    Png,
    /// JPEG.
    Jpeg,
    /// WebP, lossy.
    Webp,
}

/// An edit: an image and an instruction. What is absent is the server's or the batch's default.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct JobSpec {
    /// The image to edit.
    image: ImageSpec,
    /// What to change, in English or Vietnamese.
    #[schema(min_length = 1, max_length = 4096)]
    instruction: String,
    /// The name of the model; the server's own if absent.
    model: Option<String>,
    /// Your name for the job; no two of your jobs have the same.
    #[schema(max_length = 200)]
    key: Option<String>,
    /// What the result should not show.
    #[schema(max_length = 4096)]
    negative: Option<String>,
    /// Sampler steps; 20 if absent.
    #[schema(minimum = 1, maximum = 1000)]
    steps: Option<u32>,
    /// The sampler by name; the model's own if absent.
    sampler: Option<String>,
    /// Text guidance s_T; 7.5 if absent.
    guidance_text: Option<f64>,
    /// Image guidance s_I; 1.5 if absent.
    guidance_image: Option<f64>,
    /// How the guidance scales apply; fixed if absent.
    guidance: Option<GuidanceSpec>,
    /// Whether a model's spatial layer is used; yes if absent.
    spatial: Option<bool>,
    /// Where the thing to edit is: left, top, right and bottom edge as fractions of the image.
    source_box: Option<[f64; 4]>,
    /// The seed of the first image, image i has seed + i; chosen if absent.
    seed: Option<u64>,
    /// Width and height to edit at, in pixels; as the image has them, to the model's grid, if absent.
    size: Option<(u32, u32)>,
    /// Images to make; 1 if absent.
    #[schema(minimum = 1, maximum = 16)]
    images: Option<u32>,
    /// The format of the results; PNG if absent.
    format: Option<FormatSpec>,
    /// Quality of JPEG and WebP; 95 if absent.
    #[schema(minimum = 1, maximum = 100)]
    quality: Option<u8>,
    /// Not before this moment (RFC 3339).
    run_at: Option<String>,
    /// It expires if it has not started by this moment (RFC 3339).
    deadline: Option<String>,
    /// How long one run may take, in seconds; 600 if absent.
    timeout_seconds: Option<u64>,
    /// How often a failed run is tried again; 5 if absent.
    #[schema(minimum = 1, maximum = 100)]
    max_attempts: Option<u32>,
}

type Checked<T> = Result<T, FieldError>;

/// What is wrong with a field.
fn wrong(pointer: &str, code: &str, message: impl Into<String>) -> FieldError {
    FieldError { pointer: pointer.to_owned(), code: code.to_owned(), message: message.into() }
}

/// Refuses a number outside of its range.
pub(crate) fn within<T: PartialOrd>(pointer: &str, value: T, least: T, most: T, range: &str) -> Checked<T> {
    if value >= least && value <= most { Ok(value) } else { Err(wrong(pointer, "out_of_range", range)) }
}

impl JobSpec {
    /// Reads one row: an object whose absent fields `defaults` has already filled.
    pub(crate) fn read(row: Value) -> Checked<Self> {
        serde_json::from_value(row).map_err(|error| wrong("", "invalid_job", error.to_string()))
    }

    /// The file that it edits, if it is one of the tenant's.
    pub(crate) fn file(&self) -> Option<&str> {
        match &self.image {
            ImageSpec::File(id) => Some(id),
            ImageSpec::Url(_) => None,
        }
    }

    /// The job that does it.
    pub(crate) fn into_job(self, id: JobId, tenant: TenantId, options: &Options) -> Checked<NewJob> {
        let (run_at, deadline) =
            (moment_of("run_at", self.run_at.as_deref())?, moment_of("deadline", self.deadline.as_deref())?);
        let max_attempts = self.max_attempts.unwrap_or(RetryPolicy::default().max_attempts);
        within("max_attempts", max_attempts, 1, RetryPolicy::MAX_ATTEMPTS, "use 1 to 100")?;
        let seconds = self.timeout_seconds.unwrap_or(TIMEOUT_SECONDS);
        within("timeout_seconds", seconds, 1, MAX_TIMEOUT.as_secs(), "use 1 second to 7 days")?;
        let key = self.key.clone();
        let edit = self.into_edit(options)?;
        let (input, shape) = (input_of(tenant, &edit.image)?, shape_of(&edit));
        let cost_ms = cost_of(&edit);
        let payload =
            serde_json::to_value(&edit).map_err(|error| wrong("", "invalid_job", error.to_string()))?;
        let kind = edit::KIND.parse().map_err(|_| wrong("", "invalid_job", "the kind has no valid name"))?;
        let job = NewJob {
            id,
            key,
            kind,
            version: edit::VERSION,
            payload,
            inputs: vec![input],
            pool: options.pool.clone(),
            shape,
            cost_ms,
            run_at,
            deadline,
            timeout: Duration::from_secs(seconds),
            retry: RetryPolicy { max_attempts, ..RetryPolicy::default() },
            after: Vec::new(),
        };
        job.check().map_err(|error: InvalidJob| wrong("", error.code(), error.to_string()))?;
        Ok(job)
    }

    fn into_edit(self, options: &Options) -> Checked<Edit> {
        if self.instruction.trim().is_empty() {
            return Err(wrong("instruction", "empty", "say what to change"));
        }
        check_text("instruction", &self.instruction)?;
        let negative = self.negative.unwrap_or_default();
        check_text("negative", &negative)?;
        let model = self.model.or_else(|| options.model.clone());
        let model =
            model.ok_or_else(|| wrong("model", "missing", "name a model: this server has no default"))?;
        let scale = |pointer, value: Option<f64>, default| {
            within(pointer, value.unwrap_or(default), 0.0, 100.0, "use 0 to 100")
        };
        if let Some(edges) = self.source_box {
            check_box(edges)?;
        }
        if let Some((width, height)) = self.size {
            within("size", width.min(height), 8, MAX_SIDE, "use sides of 8 to 2048 pixels")?;
            within("size", width.max(height), 8, MAX_SIDE, "use sides of 8 to 2048 pixels")?;
        }
        Ok(Edit {
            image: match self.image {
                ImageSpec::File(id) => Source::File(id),
                ImageSpec::Url(url) => Source::Url(url),
            },
            instruction: self.instruction,
            model,
            intents: None,
            negative,
            steps: within("steps", self.steps.unwrap_or(20), 1, MAX_STEPS, "use 1 to 1000")?,
            sampler: self.sampler,
            guidance_text: scale("guidance_text", self.guidance_text, 7.5)?,
            guidance_image: scale("guidance_image", self.guidance_image, 1.5)?,
            guidance: match self.guidance {
                Some(GuidanceSpec::Dynamic) => GuidanceMode::Dynamic,
                Some(GuidanceSpec::Fixed) | None => GuidanceMode::Fixed,
            },
            spatial: self.spatial.unwrap_or(true),
            source_box: self.source_box,
            seed: self.seed,
            size: self.size,
            images: within("images", self.images.unwrap_or(1), 1, edit::MAX_IMAGES, "use 1 to 16")?,
            format: match self.format {
                Some(FormatSpec::Jpeg) => FileFormat::Jpeg,
                Some(FormatSpec::Webp) => FileFormat::Webp,
                Some(FormatSpec::Png) | None => FileFormat::Png,
            },
            quality: within("quality", self.quality.unwrap_or(95), 1, 100, "use 1 to 100")?,
        })
    }
}

fn check_text(pointer: &str, text: &str) -> Checked<()> {
    if text.len() <= edit::MAX_TEXT_BYTES {
        return Ok(());
    }
    Err(wrong(pointer, "too_large", format!("use at most {} bytes", edit::MAX_TEXT_BYTES)))
}

fn check_box([left, top, right, bottom]: [f64; 4]) -> Checked<()> {
    let ordered = (0.0..1.0).contains(&left) && (0.0..1.0).contains(&top) && left < right && top < bottom;
    if ordered && right <= 1.0 && bottom <= 1.0 {
        return Ok(());
    }
    Err(wrong("source_box", "out_of_range", "use left < right and top < bottom, each from 0 to 1"))
}

fn moment_of(pointer: &str, text: Option<&str>) -> Checked<Option<Timestamp>> {
    let message = "write a moment as RFC 3339 has it, such as 2030-01-31T12:00:00Z";
    text.map(|text| moment::parse(text).ok_or_else(|| wrong(pointer, "not_a_moment", message))).transpose()
}

/// The reference of the image among the job's inputs.
fn input_of(tenant: TenantId, image: &Source) -> Checked<String> {
    match image {
        Source::Url(url) if url.starts_with("http://") || url.starts_with("https://") => Ok(url.clone()),
        Source::Url(_) => {
            Err(wrong("image.url", "not_a_url", "use an address that begins with https:// or http://"))
        }
        Source::File(id) => files::key_of(tenant, id)
            .map(|key| key.to_string())
            .ok_or_else(|| wrong("image.file", "not_a_file_id", "use the `id` that POST /v1/files answered")),
    }
}

/// Jobs of one model and size are dispatched together.
fn shape_of(edit: &Edit) -> String {
    match edit.size {
        Some((width, height)) => format!("{}/{width}x{height}", edit.model),
        None => edit.model.clone(),
    }
}

fn cost_of(edit: &Edit) -> u32 {
    let (width, height) = edit.size.unwrap_or((512, 512));
    let area = f64::from(width) * f64::from(height) / (512.0 * 512.0);
    // Saturates; at least 1 is what the store takes.
    (STEP_MS * f64::from(edit.steps) * f64::from(edit.images) * area).max(1.0) as u32
}
