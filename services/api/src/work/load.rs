//! Storing the rows of a list: part by part, each part a transaction, and the batch is seen when all are stored.
//!
//! Everything that is needed to go on after a crash is with the batch, so any API process can: see [`resume`].

use std::error::Error;
use std::time::Duration;

use retouch_domain::spec::MAX_ROWS;
use retouch_domain::{BatchId, NewJob, TenantId};
use retouch_ports::PortErrorKind;
use retouch_ports::store::{Idempotency, LoadPart, Loading, Opened, Verdict, VerdictTotals};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::expand::Row;
use super::lines::Lines;
use super::row::{self, Read, job_id};
use crate::app::App;
use crate::problem::{Answer, FieldError, Problem};

/// The most bytes of lines of one part.
const PART_BYTES: u64 = 8 << 20;
/// How many refused rows an answer names.
const NAMED: usize = 20;
/// How long a submission must be without progress to be taken over.
const STALE: Duration = Duration::from_secs(60);

/// What a batch's submitter keeps with it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Meta {
    /// The key of the blob with the rows.
    pub(crate) rows: String,
    /// The fields under every row.
    #[serde(default)]
    pub(crate) defaults: Row,
    /// What the owner wants to find with it.
    #[serde(default)]
    pub(crate) metadata: Map<String, Value>,
    /// The idempotency key and the digest of the request.
    #[serde(default)]
    pub(crate) once: Option<(String, String)>,
}

impl Meta {
    /// As it is stored.
    pub(crate) fn to_value(&self) -> Answer<Value> {
        serde_json::to_value(self).map_err(|error| Problem::invalid(error.to_string()))
    }
}

/// How many rows got which verdict.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
pub(crate) struct VerdictCounts {
    /// Accepted.
    pub(crate) new: u64,
    /// Known by their `key`.
    pub(crate) duplicate: u64,
    /// Refused.
    pub(crate) invalid: u64,
}

impl From<VerdictTotals> for VerdictCounts {
    fn from(totals: VerdictTotals) -> Self {
        Self { new: totals.new, duplicate: totals.duplicate, invalid: totals.invalid }
    }
}

/// A row that was not accepted.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub(crate) struct RefusedRow {
    /// Which, from 1, blank lines not counted.
    pub(crate) row: u64,
    /// The field, where one is to blame.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) field: String,
    /// The stable code.
    pub(crate) code: String,
    /// What is wrong and what to do.
    pub(crate) message: String,
}

impl RefusedRow {
    /// The row of this number, from 0.
    pub(crate) fn of(row: u64, error: FieldError) -> Self {
        Self { row: row + 1, field: error.pointer, code: error.code, message: error.message }
    }
}

/// What became of a bulk submission.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub(crate) struct Receipt {
    /// The id of the batch.
    pub(crate) id: String,
    /// How many rows got which verdict.
    pub(crate) verdicts: VerdictCounts,
    /// The first rows that were refused; `/verdicts.jsonl` has all.
    pub(crate) refused: Vec<RefusedRow>,
}

/// Stores what is not stored yet of a loading batch, and opens it.
pub(crate) async fn load(app: &App, loading: Loading) -> Answer<Receipt> {
    let (tenant, batch) = (loading.tenant, loading.batch);
    let meta: Meta = serde_json::from_value(loading.meta.clone()).map_err(|error| {
        tracing::error!(error = &error as &dyn Error, %batch, "what the batch keeps cannot be read");
        Problem::broken("the submission cannot be read")
    })?;
    let mut loader = Loader { app, tenant, batch, meta: &meta, totals: loading.totals, refused: Vec::new() };
    loader.rest(loading.offset).await?;
    let receipt = Receipt { id: batch.to_string(), verdicts: loader.totals.into(), refused: loader.refused };
    open(app, tenant, batch, &meta, receipt).await
}

struct Loader<'a> {
    app: &'a App,
    tenant: TenantId,
    batch: BatchId,
    meta: &'a Meta,
    totals: VerdictTotals,
    refused: Vec<RefusedRow>,
}

/// Rows that are stored together.
#[derive(Default)]
struct Part {
    jobs: Vec<NewJob>,
    unreadable: u64,
    /// Where it ends.
    end: u64,
}

impl Loader<'_> {
    fn rows(&self) -> u64 {
        self.totals.new + self.totals.duplicate + self.totals.invalid
    }

    /// Stores everything behind `offset`.
    async fn rest(&mut self, offset: u64) -> Answer<()> {
        let key = self.meta.rows.parse().map_err(|_| Problem::not_found("list of jobs"))?;
        let size = self.app.blobs.size(&key).await?.ok_or_else(|| Problem::not_found("list of jobs"))?;
        if offset >= size {
            return Ok(());
        }
        let blob = self.app.blobs.get(&key, Some(offset..size)).await?;
        let blob = blob.ok_or_else(|| Problem::not_found("list of jobs"))?;
        let mut lines = Lines::new(blob.body, offset);
        let mut from = offset;
        loop {
            let part = self.next_part(&mut lines, from).await?;
            if part.end == from {
                return Ok(());
            }
            self.store(from, &part).await?;
            from = part.end;
        }
    }

    async fn next_part(&mut self, lines: &mut Lines, from: u64) -> Answer<Part> {
        let mut part = Part { end: from, ..Part::default() };
        let mut row = self.rows();
        while part.jobs.len() < MAX_ROWS && part.unreadable < MAX_ROWS as u64 && part.end - from < PART_BYTES
        {
            let Some(line) = lines.next().await? else { break };
            part.end = line.end;
            let id = job_id(self.batch, row);
            match row::read(&line, id, self.tenant, &self.meta.defaults, &self.app.options) {
                Read::Blank => continue,
                Read::Job(job) => part.jobs.push(*job),
                Read::Wrong(error) => {
                    part.unreadable += 1;
                    if self.refused.len() < NAMED {
                        self.refused.push(RefusedRow::of(row, error));
                    }
                }
            }
            row += 1;
        }
        Ok(part)
    }

    async fn store(&mut self, from: u64, part: &Part) -> Answer<()> {
        let load = LoadPart { from, to: part.end, jobs: &part.jobs, unreadable: part.unreadable };
        let verdicts = self.app.store.load(self.tenant, self.batch, load).await?;
        self.totals.invalid += part.unreadable;
        for verdict in verdicts {
            match verdict {
                Verdict::New => self.totals.new += 1,
                Verdict::Duplicate(_) => self.totals.duplicate += 1,
                Verdict::Invalid(_) => self.totals.invalid += 1,
            }
        }
        Ok(())
    }
}

/// Makes the batch seen, once for its idempotency key.
async fn open(app: &App, tenant: TenantId, batch: BatchId, meta: &Meta, receipt: Receipt) -> Answer<Receipt> {
    let answer = serde_json::to_string(&receipt).unwrap_or_default();
    let once = meta.once.clone().map(|(key, fingerprint)| Idempotency { key, fingerprint, answer });
    match app.store.open(tenant, batch, once.as_ref()).await {
        Ok(Opened::Now(_)) => Ok(receipt),
        Ok(Opened::Replayed(answer)) => {
            app.store.abandon(tenant, batch).await?;
            super::once::replayed(&answer)
        }
        Err(error) => {
            if error.kind() == PortErrorKind::Conflict && once.is_some() {
                app.store.abandon(tenant, batch).await?;
            }
            Err(error.into())
        }
    }
}

/// Goes on with submissions that another process began and did not finish. Answers how many.
pub(crate) async fn resume(app: &App) -> Answer<usize> {
    let stale = app.store.stale_loadings(STALE).await?;
    let count = stale.len();
    for loading in stale {
        let batch = loading.batch;
        match load(app, loading).await {
            Ok(_) => tracing::info!(%batch, "a submission that was left half way is finished"),
            Err(problem) => tracing::warn!(%batch, code = problem.code(), "a submission cannot be finished"),
        }
    }
    Ok(count)
}
