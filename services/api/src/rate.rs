//! How many requests a key may make, and what answers say of it: the header fields of draft-ietf-httpapi-ratelimit-headers.

use std::error::Error;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use retouch_domain::KeyId;
use retouch_ports::live::{Limit, Taken};

use crate::app::App;
use crate::problem::{Answer, Problem};

static POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
static LEFT: HeaderName = HeaderName::from_static("ratelimit");

/// What a request's key has left, once that is known. It goes with the request, for its answer.
#[derive(Clone, Default)]
pub(crate) struct Account(Arc<OnceLock<(Limit, Taken)>>);

/// Takes a request off what the key may make.
///
/// # Errors
/// 429 `rate_limited`, with when to come again.
pub(crate) async fn take(parts: &Parts, app: &App, key: KeyId) -> Answer<()> {
    let Some(limit) = app.options.requests else { return Ok(()) };
    let taken = match app.live.take(&format!("requests:{key}"), &limit, 1).await {
        Ok(taken) => taken,
        Err(error) => {
            // Live state fails no request.
            tracing::warn!(error = &error as &dyn Error, "a request is not counted");
            return Ok(());
        }
    };
    if let Some(account) = parts.extensions.get::<Account>() {
        // A request has one key.
        let _ = account.0.set((limit, taken));
    }
    if taken.allowed {
        return Ok(());
    }
    let detail = format!(
        "this key makes more than {} requests a second: come again when Retry-After says, and put more into each",
        limit.per_second
    );
    let wait = Duration::from_secs(seconds(taken.retry_after));
    Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", detail).after(wait))
}

impl Account {
    /// Writes into an answer what is left.
    pub(crate) fn tell(&self, headers: &mut HeaderMap) {
        let Some((limit, taken)) = self.0.get() else { return };
        // The time in which an empty bucket is full again, and that until this one is.
        let window = f64::from(limit.burst) / limit.per_second;
        let full = f64::from(limit.burst.saturating_sub(taken.remaining)) / limit.per_second;
        let policy = format!("\"key\";q={};w={}", limit.burst, window.ceil() as u64);
        let left = format!("\"key\";r={};t={}", taken.remaining, full.ceil() as u64);
        for (name, text) in [(&POLICY, policy), (&LEFT, left)] {
            if let Ok(value) = HeaderValue::from_str(&text) {
                headers.insert(name.clone(), value);
            }
        }
    }
}

/// Whole seconds, at least one, so that who waits for them finds what it waits for.
fn seconds(wait: Duration) -> u64 {
    (wait.as_secs_f64().ceil() as u64).max(1)
}
