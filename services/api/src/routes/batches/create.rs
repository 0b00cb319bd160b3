//! `POST /v1/batches`.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use retouch_domain::{BatchId, NewBatch, TenantId};
use retouch_ports::ByteStream;
use retouch_ports::blob::{PutOptions, bytes_stream};
use retouch_ports::files::batch_folder;
use retouch_ports::store::Loading;
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use super::BandSpec;
use crate::app::App;
use crate::door::Writer;
use crate::extract::{Hashed, Query, says_jsonl};
use crate::gate;
use crate::problem::{Answer, Problem};
use crate::routes::{accepted, files};
use crate::spool::{Most, Spool};
use crate::work::estimate::{self, Estimate};
use crate::work::expand::{Expand, Row, expand};
use crate::work::load::{self, Meta, Receipt};
use crate::work::once::{self, Once};
use crate::work::spec::JobSpec;

/// The most rows that stand in a request, or that lists make.
const MOST_ROWS: usize = 1000;
/// The most jobs of a body that is a list of them.
const MOST_LINES: u64 = 1_000_000;
/// The most bytes of `metadata`.
const MAX_METADATA_BYTES: usize = 4096;

/// A bulk submission: its rows in exactly one of `jobs`, `file` and `lists`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct BatchRequest {
    /// Up to 1000 jobs.
    #[schema(value_type = Option<Vec<JobSpec>>)]
    jobs: Option<Vec<Row>>,
    /// The id of an uploaded JSONL file with a job in each line.
    file: Option<String>,
    /// A list of values for each of some fields, made into up to 1000 rows as `expand` says.
    #[schema(value_type = Option<Object>)]
    lists: Option<Map<String, Value>>,
    /// How `lists` become rows; `zip` if absent.
    expand: Option<Expand>,
    /// Fields of every job that does not name them: deadline, timeout, attempts, model and so on.
    #[serde(default)]
    #[schema(value_type = Object)]
    defaults: Row,
    /// The priority class; `bulk` if absent.
    band: Option<BandSpec>,
    /// What you call it.
    #[schema(max_length = 200)]
    label: Option<String>,
    /// What you keep with it, up to 4096 bytes as JSON.
    #[serde(default)]
    #[schema(value_type = Object)]
    metadata: Map<String, Value>,
}

/// How a submission is treated.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct BatchQuery {
    /// Only check the rows and estimate what they take: nothing is stored.
    dry_run: Option<bool>,
    /// Where the body is a list of jobs: the priority class; `bulk` if absent.
    band: Option<BandSpec>,
    /// Where the body is a list of jobs: what you call the batch.
    label: Option<String>,
    /// Where the body is a list of jobs: fields of every job that does not name them, as a JSON object.
    defaults: Option<String>,
    /// Where the body is a list of jobs: what you keep with the batch, as a JSON object of up to 4096 bytes.
    metadata: Option<String>,
}

/// A submission that was read.
struct Submission {
    rows: Rows,
    defaults: Row,
    band: Option<BandSpec>,
    label: Option<String>,
    metadata: Map<String, Value>,
    /// What the request is recognised by when it comes again.
    mark: Bytes,
}

/// Submit many edits.
///
/// The body says where the rows are; or it is the rows: with `Content-Type: application/jsonl` up to 1,000,000 jobs, a JSON
/// object in each line, and everything else in the query. Every row gets a verdict, and one bad row never sinks the rest.
/// Answers 202 when all rows are stored; the jobs run from then on. With `Idempotency-Key` the same request again is the same
/// batch.
#[utoipa::path(
    post, path = "/v1/batches", tag = "batches", security(("key" = ["write"])),
    request_body(content((BatchRequest = "application/json"), (String = "application/jsonl"))),
    params(BatchQuery, ("Idempotency-Key" = Option<String>, Header, description = "Makes the request have an effect once")),
    responses(
        (status = ACCEPTED, body = Receipt), (status = OK, body = Estimate, description = "With `dry_run`"),
        (status = PAYLOAD_TOO_LARGE, body = Problem, description = "There are too many lines or bytes"),
        (status = "4XX", body = Problem)
    )
)]
pub(super) async fn create_batch(
    Writer(tenant): Writer,
    State(app): State<App>,
    Query(query): Query<BatchQuery>,
    headers: HeaderMap,
    request: Request,
) -> Answer<Response> {
    let dry_run = query.dry_run == Some(true);
    let submission = if says_jsonl(&headers) {
        list_of_jobs(&app, query, request).await?
    } else {
        document(&app, tenant, &query, request).await?
    };
    if dry_run {
        let estimate = estimate::of(&app, tenant, submission.rows, &submission.defaults).await?;
        return Ok(axum::Json(estimate).into_response());
    }
    let once = once::read(&headers, "POST /v1/batches", &submission.mark)?;
    let receipt: Receipt = match once::earlier(&app, tenant, once.as_ref()).await? {
        Some(receipt) => receipt,
        None => store(&app, tenant, submission, once).await?,
    };
    Ok(accepted(format!("/v1/batches/{}", receipt.id), receipt))
}

/// Reads a body that says where the rows are.
async fn document(app: &App, tenant: TenantId, query: &BatchQuery, request: Request) -> Answer<Submission> {
    let given = [
        ("band", query.band.is_some()),
        ("label", query.label.is_some()),
        ("defaults", query.defaults.is_some()),
        ("metadata", query.metadata.is_some()),
    ];
    if let Some((name, _)) = given.into_iter().find(|(_, given)| *given) {
        let message = "this stands in the JSON body, or in the query where the body is application/jsonl";
        return Err(Problem::invalid_part(name, "not_here", message));
    }
    let Hashed(request, mark) = Hashed::<BatchRequest>::from_request(request, app).await?;
    check(&request)?;
    let rows = rows_of(app, tenant, &request).await?;
    let BatchRequest { defaults, band, label, metadata, .. } = request;
    Ok(Submission { rows, defaults, band, label, metadata, mark })
}

/// Takes in a body that is the rows.
async fn list_of_jobs(app: &App, query: BatchQuery, request: Request) -> Answer<Submission> {
    let object = |name: &'static str, text: Option<String>| match text.map(|text| serde_json::from_str(&text))
    {
        None => Ok(Map::new()),
        Some(Ok(object)) => Ok(object),
        Some(Err(error)) => {
            Err(Problem::invalid_part(name, "not_an_object", format!("use a JSON object: {error}")))
        }
    };
    let (defaults, metadata) = (object("defaults", query.defaults)?, object("metadata", query.metadata)?);
    check_metadata(&metadata)?;
    let asked = request.uri().query().unwrap_or_default().to_owned();
    let bytes = |_: &[u8]| app.options.file_bytes;
    let spool = Spool::take(request.into_body(), Most { bytes, lines: Some(MOST_LINES) }).await?;
    if spool.size == 0 {
        return Err(Problem::invalid("the body is empty: send a JSON object for each job, one a line"));
    }
    let mark = format!("{}?{asked}", spool.hash).into();
    Ok(Submission {
        rows: Rows::Spooled(spool),
        defaults,
        band: query.band,
        label: query.label,
        metadata,
        mark,
    })
}

fn check(request: &BatchRequest) -> Answer<()> {
    let sources = [request.jobs.is_some(), request.file.is_some(), request.lists.is_some()];
    if sources.into_iter().filter(|given| *given).count() != 1 {
        let message = "give the rows in exactly one of `jobs`, `file` and `lists`";
        return Err(Problem::invalid_part("jobs", "one_source", message));
    }
    if request.expand.is_some() && request.lists.is_none() {
        return Err(Problem::invalid_part("expand", "not_here", "`expand` goes with `lists`"));
    }
    check_metadata(&request.metadata)
}

/// Refuses metadata that are too much to keep.
pub(crate) fn check_metadata(metadata: &Map<String, Value>) -> Answer<()> {
    if Value::Object(metadata.clone()).to_string().len() > MAX_METADATA_BYTES {
        let message = format!("use at most {MAX_METADATA_BYTES} bytes as JSON");
        return Err(Problem::invalid_part("metadata", "too_large", message));
    }
    Ok(())
}

/// Where the rows of a submission are.
pub(crate) enum Rows {
    /// In the request: one JSON object a line.
    Inline(Vec<u8>),
    /// On the disk, one JSON object a line.
    Spooled(Spool),
    /// In the blob of this key.
    Blob(String),
}

impl Rows {
    /// Their lines.
    pub(crate) async fn lines(self, app: &App) -> Answer<ByteStream> {
        match self {
            Self::Inline(lines) => Ok(bytes_stream(lines)),
            Self::Spooled(spool) => spool.stream().await,
            Self::Blob(key) => {
                let gone = || Problem::not_found("file");
                let key = key.parse().map_err(|_| gone())?;
                Ok(app.blobs.get(&key, None).await?.ok_or_else(gone)?.body)
            }
        }
    }
}

async fn rows_of(app: &App, tenant: TenantId, request: &BatchRequest) -> Answer<Rows> {
    if let Some(file) = &request.file {
        return Ok(Rows::Blob(files::must_exist(app, tenant, file).await?.to_string()));
    }
    let expanded = match &request.lists {
        Some(lists) => Some(expand(request.expand.unwrap_or(Expand::Zip), lists, MOST_ROWS)?),
        None => None,
    };
    let rows = expanded.as_ref().or(request.jobs.as_ref()).map_or(&[][..], Vec::as_slice);
    if rows.is_empty() || rows.len() > MOST_ROWS {
        let message =
            format!("there are {} rows: 1 to {MOST_ROWS} fit a request, a file holds more", rows.len());
        return Err(Problem::invalid_part("jobs", "out_of_range", message));
    }
    let mut lines = Vec::new();
    for row in rows {
        // A row came as JSON.
        serde_json::to_writer(&mut lines, row).map_err(|error| Problem::invalid(error.to_string()))?;
        lines.push(b'\n');
    }
    Ok(Rows::Inline(lines))
}

/// Stores the batch, where nobody sees it until all rows are stored; goes on if the caller goes away.
async fn store(app: &App, tenant: TenantId, submission: Submission, once: Option<Once>) -> Answer<Receipt> {
    gate::enter(app).await?;
    let id = BatchId::new(app.ids.uuid());
    let (key, rows) = match submission.rows {
        Rows::Blob(key) => (key, None),
        rows => (format!("{}rows.jsonl", batch_folder(tenant, id)), Some(rows)),
    };
    let meta = Meta {
        rows: key,
        defaults: submission.defaults,
        metadata: submission.metadata,
        once: once.map(|once| (once.key, once.fingerprint)),
    };
    let (band, label) = (submission.band.unwrap_or(BandSpec::Bulk).into(), submission.label);
    let app = app.clone();
    let stored = tokio::spawn(async move {
        let batch = NewBatch { id, tenant, band, label, meta: meta.to_value()? };
        let loading = app.store.begin_loading(&batch).await?;
        if let Some(rows) = rows {
            put(&app, &meta.rows, rows).await?;
        }
        let receipt = load::load(&app, Loading { meta: batch.meta, ..loading }).await?;
        gate::dispatch(&app, &app.options.pool);
        Ok(receipt)
    });
    stored.await.unwrap_or_else(|_| Err(Problem::broken("the submission was interrupted")))
}

async fn put(app: &App, key: &str, rows: Rows) -> Answer<()> {
    let key = key.parse().map_err(|_| Problem::broken("the batch has no valid folder"))?;
    app.blobs.put(&key, rows.lines(app).await?, &PutOptions::default()).await?;
    Ok(())
}
