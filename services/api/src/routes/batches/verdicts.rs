//! `GET /v1/batches/{batch}/verdicts.jsonl`: what became of each row.

use std::collections::VecDeque;

use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;
use futures_util::{Stream, stream};
use retouch_domain::{BatchId, JobId, TenantId};
use retouch_ports::store::Page;
use retouch_ports::{PortError, PortErrorKind};
use serde::Serialize;
use utoipa::ToSchema;

use super::{find, jsonl};
use crate::app::App;
use crate::door::Reader;
use crate::extract::Path;
use crate::problem::{Answer, Problem};
use crate::work::lines::Lines;
use crate::work::load::Meta;
use crate::work::row::{self, Read, job_id};

/// Jobs that are read together.
const PAGE: u32 = 1000;

/// What became of a row.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RowVerdict {
    /// Which, from 1, blank lines not counted.
    row: u64,
    /// `new`, `duplicate` or `invalid`.
    verdict: &'static str,
    /// Its job, if it is new.
    #[serde(skip_serializing_if = "Option::is_none")]
    job: Option<String>,
    /// The key that another job of yours has, if it is a duplicate; the field to blame, if it is invalid.
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<String>,
    /// The stable code, if it is invalid.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    /// What is wrong and what to do, if it is invalid.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

/// The verdict on each row of a batch that is stored, one in each line.
#[utoipa::path(
    get, path = "/v1/batches/{batch}/verdicts.jsonl", tag = "batches", security(("key" = ["read"])),
    params(("batch" = String, Path, description = "The id of the batch")),
    responses(
        (status = OK, body = RowVerdict, content_type = "application/jsonl", description = "A verdict in each line"),
        (status = "4XX", body = Problem)
    )
)]
pub(super) async fn get_verdicts(
    Reader(tenant): Reader,
    State(app): State<App>,
    Path(batch): Path<BatchId>,
) -> Answer<Response> {
    let record = find(&app, tenant, batch).await?;
    let meta: Meta = serde_json::from_value(record.meta).unwrap_or_default();
    let key =
        meta.rows.parse().map_err(|_| Problem::not_found("list of rows: the batch holds a single edit"))?;
    let blob = app.blobs.get(&key, None).await?.ok_or_else(|| Problem::not_found("list of rows any more"))?;
    let totals = record.totals;
    let rows = totals.new + totals.duplicate + totals.invalid;
    let judge = Judge {
        app,
        tenant,
        batch,
        meta,
        rows,
        row: 0,
        lines: Lines::new(blob.body, 0),
        jobs: Jobs::default(),
    };
    Ok(jsonl::answer(judge.verdicts()))
}

/// The jobs of the batch in the order of their ids, which is that of their rows.
#[derive(Default)]
struct Jobs {
    read: VecDeque<JobId>,
    last: Option<JobId>,
    ended: bool,
}

/// Reads the rows again, beside the jobs that came of them: what is no job and could be one is a duplicate.
struct Judge {
    app: App,
    tenant: TenantId,
    batch: BatchId,
    meta: Meta,
    rows: u64,
    row: u64,
    lines: Lines,
    jobs: Jobs,
}

impl Judge {
    fn verdicts(self) -> impl Stream<Item = Result<Bytes, PortError>> + Send + 'static {
        stream::try_unfold(self, |mut judge| async move {
            Ok(judge.next().await?.map(|verdict| (jsonl::line(&verdict), judge)))
        })
    }

    async fn next(&mut self) -> Result<Option<RowVerdict>, PortError> {
        while self.row < self.rows {
            let Some(line) = self.lines.next().await? else { break };
            let id = job_id(self.batch, self.row);
            let read = row::read(&line, id, self.tenant, &self.meta.defaults, &self.app.options);
            if let Read::Blank = read {
                continue;
            }
            self.row += 1;
            return self.judge(id, read).await.map(Some);
        }
        Ok(None)
    }

    async fn judge(&mut self, id: JobId, read: Read) -> Result<RowVerdict, PortError> {
        let row = self.row;
        let verdict = |verdict| RowVerdict { row, verdict, job: None, at: None, code: None, message: None };
        match read {
            Read::Job(_) if self.is_stored(id).await? => {
                Ok(RowVerdict { job: Some(id.to_string()), ..verdict("new") })
            }
            Read::Job(job) => Ok(RowVerdict { at: job.key, ..verdict("duplicate") }),
            Read::Wrong(error) => Ok(RowVerdict {
                at: Some(error.pointer).filter(|at| !at.is_empty()),
                code: Some(error.code),
                message: Some(error.message),
                ..verdict("invalid")
            }),
            Read::Blank => Err(PortError::new(PortErrorKind::Internal, "a blank line has no verdict")),
        }
    }

    async fn is_stored(&mut self, id: JobId) -> Result<bool, PortError> {
        loop {
            match self.jobs.read.front() {
                Some(job) if *job < id => drop(self.jobs.read.pop_front()),
                Some(job) => return Ok(*job == id),
                None if self.jobs.ended => return Ok(false),
                None => self.read_jobs().await?,
            }
        }
    }

    async fn read_jobs(&mut self) -> Result<(), PortError> {
        let page = Page { after: self.jobs.last, limit: PAGE };
        let jobs = self.app.store.jobs(self.tenant, self.batch, None, page).await?;
        self.jobs.ended = jobs.len() < PAGE as usize;
        self.jobs.last = jobs.last().map(|job| job.spec.id).or(self.jobs.last);
        self.jobs.read.extend(jobs.iter().map(|job| job.spec.id));
        Ok(())
    }
}
