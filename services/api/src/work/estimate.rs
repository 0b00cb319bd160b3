//! What a submission would take.

use retouch_domain::{BatchId, TenantId};
use serde::Serialize;
use utoipa::ToSchema;

use super::expand::Row;
use super::lines::Lines;
use super::load::RefusedRow;
use super::row::{self, Read, job_id};
use crate::app::App;
use crate::problem::Answer;
use crate::routes::batches::Rows;

/// How many refused rows an answer names.
const NAMED: usize = 20;

/// What a submission would take. Which rows are duplicates is known only when they are stored.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct Estimate {
    /// Rows that would be accepted.
    valid: u64,
    /// Rows that would be refused.
    invalid: u64,
    /// Device time of all valid rows on one device, roughly, in seconds.
    device_seconds: f64,
    /// The first rows that would be refused.
    refused: Vec<RefusedRow>,
}

/// Reads every row as a submission would, and stores nothing.
pub(crate) async fn of(app: &App, tenant: TenantId, rows: Rows, defaults: &Row) -> Answer<Estimate> {
    let body = rows.lines(app).await?;
    let batch = BatchId::new(app.ids.uuid());
    let (mut lines, mut estimate) = (Lines::new(body, 0), Estimate::default());
    while let Some(line) = lines.next().await? {
        let row = estimate.valid + estimate.invalid;
        match row::read(&line, job_id(batch, row), tenant, defaults, &app.options) {
            Read::Blank => {}
            Read::Job(job) => {
                estimate.valid += 1;
                estimate.device_seconds += f64::from(job.cost_ms) / 1000.0;
            }
            Read::Wrong(error) => {
                estimate.invalid += 1;
                if estimate.refused.len() < NAMED {
                    estimate.refused.push(RefusedRow::of(row, error));
                }
            }
        }
    }
    Ok(estimate)
}
