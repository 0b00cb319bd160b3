//! `POST /v1/datasets`: edit pairs of procedural scenes, made and packed by all workers of the pool `cpu`.

use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use retouch_domain::spec::MAX_ROWS;
use retouch_domain::{BatchId, Dependency, JobId, NewBatch, NewJob, RetryPolicy, TenantId};
use retouch_ports::jobs::pairs::{self, Pack, Render};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::door::Writer;
use crate::extract::Hashed;
use crate::gate;
use crate::problem::{Answer, Problem};
use crate::routes::accepted;
use crate::routes::batches::{BandSpec, check_metadata};
use crate::work::load::Meta;
use crate::work::once;
use crate::work::row::job_id;
use crate::work::spec::within;

/// The name of the set: a dataset has one.
const SET: &str = "pairs";
/// Pairs of one job that renders: seconds of work, so that many workers share a shard and little is lost with one.
const RENDERED: u64 = 64;
/// Time to sample, render and encode a pair of 128 × 128 pixels, for fairness.
const PAIR_MS: f64 = 25.0;
/// Time to pack a pair, for fairness.
const PACK_MS: f64 = 1.0;
/// How long one run may take.
const TIMEOUT: Duration = Duration::from_secs(3600);

pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(create_dataset))
}

/// A dataset of scene pairs to make. The same seed, size and numbers give the same pairs, byte for byte.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct DatasetRequest {
    /// How many pairs to try; the few seeds whose edit is impossible are left out.
    #[schema(minimum = 1)]
    pairs: u64,
    /// The seed of the first pair, pair i has seed + i; 0 if absent.
    #[serde(default)]
    seed: u64,
    /// Width and height of the images in pixels; 256 if absent.
    #[schema(minimum = 16, maximum = 1024)]
    size: Option<u32>,
    /// Pairs of one shard; 1000 if absent.
    #[schema(minimum = 1, maximum = 20000)]
    shard: Option<u64>,
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

/// An accepted dataset.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
struct DatasetReceipt {
    /// The id of the batch that makes it: watch, cancel and read it as any other.
    id: String,
    /// Where it is looked at.
    url: String,
    /// How many jobs make it.
    jobs: u64,
    /// How many shards it will have, if no pair of a shard fails.
    shards: u64,
}

/// Generate a dataset.
///
/// Makes edit pairs of rendered scenes with their instructions, captions and exact ground truth, and packs them as
/// WebDataset shards: jobs of a batch, spread over the workers of the pool `cpu`. A job whose kind is `pack` has the shard.
#[utoipa::path(
    post, path = "/v1/datasets", tag = "datasets", security(("key" = ["write"])), request_body = DatasetRequest,
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes the request have an effect once")),
    responses((status = ACCEPTED, body = DatasetReceipt), (status = "4XX", body = Problem))
)]
async fn create_dataset(
    Writer(tenant): Writer,
    State(app): State<App>,
    headers: HeaderMap,
    Hashed(request, body): Hashed<DatasetRequest>,
) -> Answer<Response> {
    let plan = Plan::of(&request)?;
    check_metadata(&request.metadata)?;
    let once = once::read(&headers, "POST /v1/datasets", &body)?;
    let receipt = match once::earlier(&app, tenant, once.as_ref()).await? {
        Some(receipt) => receipt,
        None => {
            gate::enter(&app).await?;
            let batch = plan.batch(&app, tenant, request)?;
            let jobs = plan.jobs(batch.id)?;
            let (id, url) = (batch.id.to_string(), format!("/v1/batches/{}", batch.id));
            let receipt = DatasetReceipt { id, url, jobs: jobs.len() as u64, shards: plan.shards() };
            let receipt = once::submit(&app, &batch, &jobs, receipt, once).await?;
            gate::dispatch(&app, &jobs[0].pool);
            receipt
        }
    };
    Ok(accepted(receipt.url.clone(), receipt))
}

/// Which jobs make a dataset.
struct Plan {
    pairs: u64,
    seed: u64,
    size: u32,
    shard: u64,
}

impl Plan {
    fn of(request: &DatasetRequest) -> Answer<Self> {
        let (size, shard) = (request.size.unwrap_or(256), request.shard.unwrap_or(1000));
        let range = format!("use {} to {}", pairs::MIN_SIZE, pairs::MAX_SIZE);
        within("size", size, pairs::MIN_SIZE, pairs::MAX_SIZE, &range)?;
        within("shard", shard, 1, pairs::MAX_PACKED, &format!("use 1 to {}", pairs::MAX_PACKED))?;
        let plan = Self { pairs: request.pairs, seed: request.seed, size, shard };
        let jobs = plan.count();
        let range = format!(
            "it would be {jobs} jobs of {RENDERED} pairs or a shard: 1 to {MAX_ROWS} make a dataset. Use larger \
             shards, or several datasets whose seeds follow each other"
        );
        within("pairs", jobs, 1, MAX_ROWS as u64, &range)?;
        Ok(plan)
    }

    fn shards(&self) -> u64 {
        self.pairs.div_ceil(self.shard)
    }

    fn count(&self) -> u64 {
        let (full, rest) = (self.pairs / self.shard, self.pairs % self.shard);
        let renders =
            full.saturating_mul(self.shard.div_ceil(RENDERED)).saturating_add(rest.div_ceil(RENDERED));
        renders.saturating_add(self.shards())
    }

    fn batch(&self, app: &App, tenant: TenantId, request: DatasetRequest) -> Answer<NewBatch> {
        let meta = Meta { metadata: request.metadata, ..Meta::default() }.to_value()?;
        let band = request.band.unwrap_or(BandSpec::Bulk).into();
        Ok(NewBatch { id: BatchId::new(app.ids.uuid()), tenant, band, label: request.label, meta })
    }

    /// Shard by shard: what renders its pairs, and what packs them when they are there.
    fn jobs(&self, batch: BatchId) -> Answer<Vec<NewJob>> {
        let mut jobs: Vec<NewJob> = Vec::new();
        let set = || SET.to_owned();
        for shard in 0..self.shards() {
            let (start, end) = (shard * self.shard, self.pairs.min((shard + 1) * self.shard));
            let mut after = Vec::new();
            for first in (start..end).step_by(RENDERED as usize) {
                let count = RENDERED.min(end - first);
                let render = Render { set: set(), seed: self.seed, first, count, size: self.size };
                let area = (f64::from(self.size) / 128.0).powi(2);
                let id = job_id(batch, jobs.len() as u64);
                jobs.push(job(id, pairs::RENDER, &render, count as f64 * PAIR_MS * area, Vec::new())?);
                after.push(Dependency::Job(id));
            }
            // Fits: there are at most as many shards as rows.
            let pack = Pack { set: set(), first: start, count: end - start, shard: shard as u32 };
            let id = job_id(batch, jobs.len() as u64);
            jobs.push(job(id, pairs::PACK, &pack, pack.count as f64 * PACK_MS, after)?);
        }
        Ok(jobs)
    }
}

fn job(id: JobId, kind: &str, payload: &impl Serialize, ms: f64, after: Vec<Dependency>) -> Answer<NewJob> {
    let broken = || Problem::broken("a job of the dataset has no valid form");
    let job = NewJob {
        id,
        key: None,
        kind: kind.parse().map_err(|_| broken())?,
        version: pairs::VERSION,
        payload: serde_json::to_value(payload).map_err(|_| broken())?,
        inputs: Vec::new(),
        pool: pairs::POOL.parse().map_err(|_| broken())?,
        shape: String::new(),
        // Saturates; at least 1 is what the store takes.
        cost_ms: ms.max(1.0) as u32,
        run_at: None,
        deadline: None,
        timeout: TIMEOUT,
        retry: RetryPolicy::default(),
        after,
    };
    job.check().map_err(|_| broken())?;
    Ok(job)
}
