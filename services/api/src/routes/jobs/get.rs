//! Looking at jobs, their runs and their images.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use retouch_domain::JobId;
use retouch_ports::BlobKey;
use retouch_ports::jobs::edit::Edited;
use retouch_ports::jobs::pairs::PackedShard;
use retouch_ports::live::Topic;
use retouch_ports::store::JobRecord;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Wait, find};
use crate::app::App;
use crate::content::{self, Described};
use crate::door::Reader;
use crate::extract::{Path, Query};
use crate::objects::{AttemptObject, JobObject};
use crate::problem::{Answer, Problem};
use crate::watch;

/// Look at a job.
///
/// With `wait` the answer comes when the job is over, or changed from what `If-None-Match` names, or the wait is.
#[utoipa::path(
    get, path = "/v1/jobs/{job}", tag = "jobs", security(("key" = ["read"])),
    params(("job" = String, Path, description = "The id of the job"), Wait),
    responses(
        (status = OK, body = JobObject), (status = NOT_MODIFIED, description = "You have it"),
        (status = "4XX", body = Problem)
    )
)]
pub(super) async fn get_job(
    Reader(tenant): Reader,
    State(app): State<App>,
    Path(job): Path<JobId>,
    Query(wait): Query<Wait>,
    headers: HeaderMap,
) -> Answer<Response> {
    let seen = &app;
    let read = move || find(seen, tenant, job);
    let wanted = |record: &JobRecord| {
        record.state.is_terminal() || watch::is_news(&JobObject::from(record.clone()), &headers)
    };
    let record = watch::until(&app, Topic::Job(job), wait.length()?, read, wanted).await?;
    Ok(watch::tagged(&JobObject::from(record), &headers))
}

/// The runs of a job.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AttemptList {
    /// The runs that ended, the oldest first.
    attempts: Vec<AttemptObject>,
}

/// List the runs of a job that ended.
#[utoipa::path(
    get, path = "/v1/jobs/{job}/attempts", tag = "jobs", security(("key" = ["read"])),
    params(("job" = String, Path, description = "The id of the job")),
    responses((status = OK, body = AttemptList), (status = "4XX", body = Problem))
)]
pub(super) async fn list_attempts(
    Reader(tenant): Reader,
    State(app): State<App>,
    Path(job): Path<JobId>,
) -> Answer<axum::Json<AttemptList>> {
    find(&app, tenant, job).await?;
    let attempts = app.store.attempts(tenant, job).await?;
    Ok(axum::Json(AttemptList { attempts: attempts.into_iter().map(AttemptObject::from).collect() }))
}

/// Download an image that came of a job.
///
/// Ranges and `If-None-Match` are honoured. A store that has addresses to give is redirected to.
#[utoipa::path(
    get, path = "/v1/jobs/{job}/images/{image}", tag = "jobs", security(("key" = ["read"])),
    params(
        ("job" = String, Path, description = "The id of the job"),
        ("image" = u32, Path, description = "Which of its images, from 0")
    ),
    responses(
        (status = OK, description = "The image", content_type = "application/octet-stream"),
        (status = PARTIAL_CONTENT, description = "The range", content_type = "application/octet-stream"),
        (status = TEMPORARY_REDIRECT, description = "Where the image is, for 15 minutes"),
        (status = NOT_MODIFIED, description = "You have it"), (status = "4XX", body = Problem)
    )
)]
pub(super) async fn get_image(
    Reader(tenant): Reader,
    State(app): State<App>,
    path: Result<axum::extract::Path<(String, String)>, axum::extract::rejection::PathRejection>,
    headers: HeaderMap,
) -> Answer<Response> {
    let missing = || Problem::not_found("image");
    let axum::extract::Path((job, image)) = path.map_err(|_| missing())?;
    let job: JobId = job.parse().map_err(|_| missing())?;
    let image: usize = image.parse().map_err(|_| missing())?;
    let record = find(&app, tenant, job).await?;
    let edited = record.output.and_then(|output| serde_json::from_value::<Edited>(output).ok());
    let file = edited.and_then(|edited| edited.files.into_iter().nth(image)).ok_or_else(missing)?;
    let key = file.key.parse().map_err(|_| missing())?;
    let extension = file.media_type.rsplit('/').next().unwrap_or_default();
    let file_name = format!("{job}-{image}.{extension}");
    let described = Described { media_type: &file.media_type, hash: &file.hash, file_name };
    content::answer(&app, &key, &described, &headers).await
}

/// Download the shard that came of a job: a tar file in the layout of WebDataset.
///
/// Ranges and `If-None-Match` are honoured. A store that has addresses to give is redirected to.
#[utoipa::path(
    get, path = "/v1/jobs/{job}/shard", tag = "jobs", security(("key" = ["read"])),
    params(("job" = String, Path, description = "The id of the job")),
    responses(
        (status = OK, description = "The shard", content_type = "application/x-tar"),
        (status = PARTIAL_CONTENT, description = "The range", content_type = "application/x-tar"),
        (status = TEMPORARY_REDIRECT, description = "Where the shard is, for 15 minutes"),
        (status = NOT_MODIFIED, description = "You have it"), (status = "4XX", body = Problem)
    )
)]
pub(super) async fn get_shard(
    Reader(tenant): Reader,
    State(app): State<App>,
    Path(job): Path<JobId>,
    headers: HeaderMap,
) -> Answer<Response> {
    let missing = || Problem::not_found("shard");
    let record = find(&app, tenant, job).await?;
    let shard = record.output.and_then(|output| serde_json::from_value::<PackedShard>(output).ok());
    let shard = shard.ok_or_else(missing)?;
    let key: BlobKey = shard.key.parse().map_err(|_| missing())?;
    let file_name = shard.name().to_owned();
    let described = Described { media_type: "application/x-tar", hash: &shard.hash, file_name };
    content::answer(&app, &key, &described, &headers).await
}
