//! Who submits: jobs for [`crate::executor`], whose acknowledged ids go to an account outside of the system.

use std::path::{Path, PathBuf};
use std::time::Duration;

use retouch_domain::{Band, BatchId, JobId, JobState, NewBatch, NewJob, RetryPolicy, TenantId};
use retouch_ports::store::{Idempotency, Submitted, Verdict};
use retouch_ports::{Ids, JobStore, PortError, fail_point};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::account::Account;
use crate::site::pool;

/// Where acknowledged ids stand.
pub fn acknowledged(folder: &Path) -> PathBuf {
    folder.join("acknowledged")
}

/// A tenant of tests.
pub fn tenant(number: u128) -> TenantId {
    TenantId::new(Uuid::from_u128(0xabc0_0000 + number))
}

/// A job that does what `payload` says.
pub fn job(ids: &dyn Ids, payload: Value) -> NewJob {
    NewJob {
        id: JobId::new(ids.uuid()),
        key: None,
        kind: "nothing".parse().expect("a name"),
        version: 1,
        payload,
        inputs: Vec::new(),
        pool: pool(),
        shape: String::new(),
        cost_ms: 10,
        run_at: None,
        deadline: None,
        timeout: Duration::from_secs(120),
        retry: RetryPolicy { max_attempts: 3, base: Duration::from_millis(50), cap: Duration::from_secs(1) },
        after: Vec::new(),
    }
}

/// Several jobs that take this long.
pub fn jobs(ids: &dyn Ids, count: usize, takes: Duration) -> Vec<NewJob> {
    (0..count).map(|_| job(ids, json!({ "ms": takes.as_millis() }))).collect()
}

/// A batch that is not stored yet.
pub fn batch(ids: &dyn Ids, tenant: TenantId, band: Band) -> NewBatch {
    NewBatch { id: BatchId::new(ids.uuid()), tenant, band, label: None, meta: json!({}) }
}

/// Submits jobs in a batch; all of them are new.
///
/// # Errors
/// As the store's.
pub async fn submit(
    store: &dyn JobStore,
    ids: &dyn Ids,
    tenant: TenantId,
    band: Band,
    jobs: &[NewJob],
) -> Result<BatchId, PortError> {
    let batch = batch(ids, tenant, band);
    let submitted = store.submit(&batch, jobs, None).await?;
    let all_new = |verdicts: &[Verdict]| verdicts.iter().all(|verdict| *verdict == Verdict::New);
    assert!(matches!(&submitted, Submitted::New(verdicts) if all_new(verdicts)), "{submitted:?}");
    Ok(batch.id)
}

/// Submits jobs until the store acknowledges them, however often it takes, and then puts their ids on the account. Killed
/// before that, nobody was told of them.
///
/// # Errors
/// As the file system's.
pub async fn submit_on_account(
    store: &dyn JobStore,
    ids: &dyn Ids,
    account: &Account,
    band: Band,
    jobs: &[NewJob],
) -> std::io::Result<()> {
    let batch = batch(ids, tenant(1), band);
    // A try whose answer was lost took effect or not; the key makes the next one safe.
    let once =
        Idempotency { key: batch.id.to_string(), fingerprint: "1".to_owned(), answer: "ok".to_owned() };
    while let Err(error) = store.submit(&batch, jobs, Some(&once)).await {
        tracing::debug!(error = &error as &dyn std::error::Error, "submitting again");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    fail_point!("submitter.stored");
    account.append(jobs.iter().map(|job| job.id.to_string()))
}

/// How many jobs of these are in which state.
///
/// # Errors
/// As the store's.
pub async fn unfinished(store: &dyn JobStore, jobs: &[JobId]) -> Result<Vec<(JobId, JobState)>, PortError> {
    let mut open = Vec::new();
    for id in jobs {
        let state = store.job(tenant(1), *id).await?.map(|job| job.state);
        match state {
            Some(state) if state.is_terminal() => {}
            Some(state) => open.push((*id, state)),
            None => open.push((*id, JobState::Blocked)),
        }
    }
    Ok(open)
}
