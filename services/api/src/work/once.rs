//! Requests that have an effect once, however often they come.

use axum::http::{HeaderMap, StatusCode};
use retouch_domain::{NewBatch, NewJob, TenantId};
use retouch_ports::PortErrorKind;
use retouch_ports::store::{Idempotency, Submitted};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use crate::app::App;
use crate::problem::{Answer, Problem};

/// The longest idempotency key.
const MAX_KEY_BYTES: usize = 200;

/// The idempotency key of a request, and the digest of what it asks for.
#[derive(Debug, Clone)]
pub(crate) struct Once {
    pub(crate) key: String,
    pub(crate) fingerprint: String,
}

/// Reads the header `Idempotency-Key` of a request with this body, or what stands for it; `None` without one.
pub(crate) fn read(headers: &HeaderMap, route: &str, body: &[u8]) -> Answer<Option<Once>> {
    let Some(key) = headers.get("idempotency-key") else { return Ok(None) };
    let key = key.to_str().ok().filter(|key| (1..=MAX_KEY_BYTES).contains(&key.len()));
    let key = key.ok_or_else(|| {
        let detail = format!("Idempotency-Key is 1 to {MAX_KEY_BYTES} visible ASCII characters");
        Problem::new(StatusCode::BAD_REQUEST, "idempotency_key_invalid", detail)
    })?;
    let digest = Sha256::new().chain_update(route).chain_update([0]).chain_update(body).finalize();
    let fingerprint = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Some(Once { key: key.to_owned(), fingerprint }))
}

/// What was answered earlier to the same request.
///
/// # Errors
/// If the key was used for another request.
pub(crate) async fn earlier<T: DeserializeOwned>(
    app: &App,
    tenant: TenantId,
    once: Option<&Once>,
) -> Answer<Option<T>> {
    let Some(once) = once else { return Ok(None) };
    match app.store.answer(tenant, &once.key).await? {
        Some(given) if given.fingerprint == once.fingerprint => replayed(&given.answer).map(Some),
        Some(_) => Err(reused()),
        None => Ok(None),
    }
}

/// Stores a batch in one transaction, once for its idempotency key. Answers `receipt`, or what was answered when the same
/// request won a race.
pub(crate) async fn submit<R: Serialize + DeserializeOwned>(
    app: &App,
    batch: &NewBatch,
    jobs: &[NewJob],
    receipt: R,
    once: Option<Once>,
) -> Answer<R> {
    let answer = serde_json::to_string(&receipt).unwrap_or_default();
    let record = once.map(|once| Idempotency { key: once.key, fingerprint: once.fingerprint, answer });
    match app.store.submit(batch, jobs, record.as_ref()).await {
        Ok(Submitted::New(_)) => Ok(receipt),
        Ok(Submitted::Replayed(answer)) => replayed(&answer),
        Err(error) if error.kind() == PortErrorKind::Conflict && record.is_some() => Err(reused()),
        Err(error) => Err(error.into()),
    }
}

/// The key was used for another request.
pub(crate) fn reused() -> Problem {
    let detail = "this Idempotency-Key was used for another request: use a new one";
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reused", detail)
}

/// An answer as it was given.
pub(crate) fn replayed<T: DeserializeOwned>(answer: &str) -> Answer<T> {
    serde_json::from_str(answer).map_err(|error| {
        tracing::error!(error = &error as &dyn std::error::Error, "an earlier answer cannot be read");
        Problem::broken("the earlier answer cannot be read")
    })
}
