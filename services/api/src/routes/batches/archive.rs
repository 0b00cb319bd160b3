//! `GET /v1/batches/{batch}/archive.zip`: all results of a batch in one file, made while it is read.
//!
//! In memory are one image at a time and a number for each name; lists wait on the disk until their turn comes.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use retouch_domain::{BatchId, JobState, TenantId, Timestamp};
use retouch_ports::jobs::edit::{Edited, EditedFile};
use retouch_ports::store::JobRecord;
use retouch_ports::{PortError, PortErrorKind};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::find;
use super::jsonl::{self, WITHOUT_RESULT, line};
use crate::app::App;
use crate::door::Reader;
use crate::extract::Path;
use crate::names::{Image, Names, Owner};
use crate::objects::JobObject;
use crate::problem::{Answer, Problem};
use crate::scratch::Scratch;
use crate::zip::{Entry, Zip};

/// Parts that wait for the reader.
const AHEAD: usize = 2;

/// Download all results of a batch so far as one zip archive.
///
/// It holds every image of the jobs that succeeded, `results.jsonl` with a line for each of these jobs, whose `files` name its
/// images, and `errors.jsonl` with a line for each job that ended without a result. An image is called as the last part of its
/// job's `key`, or as the number of its row. The archive is made while it is read: if it breaks off, ask again.
#[utoipa::path(
    get, path = "/v1/batches/{batch}/archive.zip", tag = "batches", security(("key" = ["read"])),
    params(("batch" = String, Path, description = "The id of the batch")),
    responses(
        (status = OK, description = "The archive", content_type = "application/zip"),
        (status = TOO_MANY_REQUESTS, body = Problem, description = "Too many archives are being made"),
        (status = "4XX", body = Problem)
    )
)]
pub(super) async fn get_archive(
    Reader(tenant): Reader,
    State(app): State<App>,
    Path(batch): Path<BatchId>,
) -> Answer<Response> {
    let now = app.store.now().await?;
    find(&app, tenant, batch).await?;
    let turn = app.archives.clone().try_acquire_owned().map_err(|_| {
        let detail = "this server makes as many archives as it can already: try again later";
        Problem::new(StatusCode::TOO_MANY_REQUESTS, "archives_busy", detail).after(Duration::from_secs(10))
    })?;
    let (parts, read) = mpsc::channel(AHEAD);
    let mut archive = Archive::new(app, tenant, batch, parts.clone()).await?;
    tokio::spawn(async move {
        // A reader who is gone needs no end.
        if let Err(error) = archive.write(now).await
            && !parts.is_closed()
        {
            tracing::warn!(error = &error as &dyn std::error::Error, %batch, "an archive broke off");
            let _ = parts.send(Err(error)).await;
        }
        drop(turn);
    });
    let body = stream::unfold(read, async |mut read| read.recv().await.map(|part| (part, read)));
    let disposition = format!("attachment; filename=\"{batch}.zip\"");
    let headers =
        [(header::CONTENT_TYPE, "application/zip".to_owned()), (header::CONTENT_DISPOSITION, disposition)];
    Ok((headers, Body::from_stream(body)).into_response())
}

/// A line of `results.jsonl` in an archive.
#[derive(Serialize)]
struct Archived {
    #[serde(flatten)]
    job: JobObject,
    /// The names of its images in the archive.
    files: Vec<String>,
}

/// An archive on its way to its reader.
struct Archive {
    app: App,
    tenant: TenantId,
    batch: BatchId,
    parts: mpsc::Sender<Result<Bytes, PortError>>,
    zip: Zip,
    names: Names,
    /// The list of the archive's files.
    listed: Scratch,
}

/// A file that is written line by line until its size is known.
struct Lines {
    scratch: Scratch,
    size: u64,
    crc: crc32fast::Hasher,
}

impl Lines {
    async fn new() -> Result<Self, PortError> {
        Ok(Self { scratch: Scratch::new().await?, size: 0, crc: crc32fast::Hasher::new() })
    }

    async fn add(&mut self, object: &impl Serialize) -> Result<(), PortError> {
        let line = line(object);
        self.size += line.len() as u64;
        self.crc.update(&line);
        self.scratch.write(&line).await
    }
}

impl Archive {
    async fn new(
        app: App,
        tenant: TenantId,
        batch: BatchId,
        parts: mpsc::Sender<Result<Bytes, PortError>>,
    ) -> Result<Self, PortError> {
        let (zip, names, listed) = (Zip::default(), Names::default(), Scratch::new().await?);
        Ok(Self { app, tenant, batch, parts, zip, names, listed })
    }

    /// Writes all of it; what is told of the batch is as of `now`.
    async fn write(&mut self, now: Timestamp) -> Result<(), PortError> {
        let (mut results, mut errors) = (Lines::new().await?, Lines::new().await?);
        let mut pages = Box::pin(self.jobs(&[JobState::Succeeded]));
        while let Some(jobs) = pages.try_next().await? {
            for job in jobs {
                let files = self.images(&job).await?;
                results.add(&Archived { job: job.into(), files }).await?;
            }
        }
        let mut pages = Box::pin(self.jobs(&WITHOUT_RESULT));
        while let Some(jobs) = pages.try_next().await? {
            for job in jobs {
                errors.add(&JobObject::from(job)).await?;
            }
        }
        self.lines("results.jsonl", results, now).await?;
        self.lines("errors.jsonl", errors, now).await?;
        let mut listed = std::mem::replace(&mut self.listed, Scratch::new().await?).stream().await?;
        while let Some(part) = listed.next().await.transpose()? {
            self.send(part).await?;
        }
        self.send(self.zip.end().into()).await
    }

    fn jobs(
        &self,
        states: &'static [JobState],
    ) -> impl Stream<Item = Result<Vec<JobRecord>, PortError>> + Send + 'static + use<> {
        jsonl::pages(self.app.clone(), self.tenant, self.batch, states)
    }

    /// Writes the images of a job and answers their names; what other kinds put out has none.
    async fn images(&mut self, job: &JobRecord) -> Result<Vec<String>, PortError> {
        let edited = job.output.as_ref().and_then(|output| Edited::deserialize(output).ok());
        let files = edited.map(|edited| edited.files).unwrap_or_default();
        let owner = Owner { batch: self.batch, job: job.spec.id, key: job.spec.key.as_deref() };
        let mut names = Vec::with_capacity(files.len());
        for (index, file) in files.iter().enumerate() {
            let image = Image { index, of: files.len(), media_type: &file.media_type };
            let name = self.names.give(owner, image);
            self.image(&name, file, job.ended_at.unwrap_or(job.created_at)).await?;
            names.push(name);
        }
        Ok(names)
    }

    async fn image(&mut self, name: &str, file: &EditedFile, at: Timestamp) -> Result<(), PortError> {
        let gone = || PortError::new(PortErrorKind::NotFound, format!("the image {} is gone", file.key));
        let key = file.key.parse().map_err(|_| gone())?;
        let bytes = self.app.blobs.get(&key, None).await?.ok_or_else(gone)?.bytes().await?;
        let entry = Entry { name, size: bytes.len() as u64, crc: crc32fast::hash(&bytes), at };
        self.begin(&entry).await?;
        self.send(bytes.into()).await
    }

    async fn lines(&mut self, name: &str, lines: Lines, at: Timestamp) -> Result<(), PortError> {
        let entry = Entry { name, size: lines.size, crc: lines.crc.finalize(), at };
        self.begin(&entry).await?;
        let mut body = lines.scratch.stream().await?;
        while let Some(part) = body.next().await.transpose()? {
            self.send(part).await?;
        }
        Ok(())
    }

    async fn begin(&mut self, entry: &Entry<'_>) -> Result<(), PortError> {
        let headers = self.zip.entry(entry);
        self.listed.write(&headers.listed).await?;
        self.send(headers.before.into()).await
    }

    async fn send(&self, part: Bytes) -> Result<(), PortError> {
        if self.app.stop.is_cancelled() {
            return Err(PortError::new(PortErrorKind::Unavailable, "the server stops"));
        }
        let sent = self.parts.send(Ok(part)).await;
        sent.map_err(|_| PortError::new(PortErrorKind::Unavailable, "the reader is gone"))
    }
}
