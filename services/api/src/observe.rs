//! Around every request: its id, its span, its figures, and what is left of it when a handler panics.

use std::panic::AssertUnwindSafe;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use prometheus::{HistogramOpts, HistogramVec, Registry};
use tracing::Instrument;

use crate::app::App;
use crate::problem::Problem;
use crate::rate::Account;

static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
static CONTENT_OPTIONS: HeaderName = HeaderName::from_static("x-content-type-options");

/// What is counted about requests.
pub struct Figures {
    registry: Registry,
    requests: HistogramVec,
}

impl Default for Figures {
    fn default() -> Self {
        let registry = Registry::new();
        let options = HistogramOpts::new(
            "retouch_http_request_duration_seconds",
            "Time until a request was answered; the bodies of streams come later.",
        )
        .buckets(vec![0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0]);
        let requests = HistogramVec::new(options, &["route", "method", "status"])
            .expect("the name and the labels are valid");
        registry.register(Box::new(requests.clone())).expect("nothing else has this name");
        Self { registry, requests }
    }
}

impl Figures {
    /// All figures of this process.
    pub fn gather(&self) -> Vec<prometheus::proto::MetricFamily> {
        self.registry.gather()
    }
}

/// The middleware.
pub async fn observe(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let id = request_id(&request).unwrap_or_else(|| app.ids.uuid().to_string());
    let method = request.method().clone();
    let route = request.extensions().get::<MatchedPath>().map_or("unmatched", MatchedPath::as_str).to_owned();
    let trace = trace_id(request.headers()).map(tracing::field::display);
    let span = tracing::info_span!("request", request.id = id, %method, route, trace.id = trace);
    let account = Account::default();
    request.extensions_mut().insert(account.clone());
    let start = Instant::now();
    let answer = AssertUnwindSafe(next.run(request)).catch_unwind().instrument(span).await;
    let mut response = answer.unwrap_or_else(|_| {
        let detail = "something is wrong with the server; its log says more under the request's id";
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail).into_response()
    });
    let status = response.status();
    let labels = [route.as_str(), method.as_str(), status.as_str()];
    app.figures.requests.with_label_values(&labels).observe(start.elapsed().as_secs_f64());
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(&id) {
        headers.insert(REQUEST_ID.clone(), id);
    }
    headers.insert(CONTENT_OPTIONS.clone(), HeaderValue::from_static("nosniff"));
    account.tell(headers);
    response
}

/// The id that the caller gave, if it is short and plain.
fn request_id(request: &Request) -> Option<String> {
    let id = request.headers().get(&REQUEST_ID)?.to_str().ok()?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    ((1..=64).contains(&id.len()) && id.bytes().all(plain)).then(|| id.to_owned())
}

/// The id of the trace that the caller says the request is of, in the header `traceparent` of W3C Trace Context.
fn trace_id(headers: &HeaderMap) -> Option<&str> {
    let mut parts = headers.get("traceparent")?.to_str().ok()?.split('-');
    let (version, id, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let hexadecimal = |text: &str, length: usize| {
        text.len() == length
            && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    };
    let known =
        hexadecimal(version, 2) && version != "ff" && hexadecimal(parent, 16) && hexadecimal(flags, 2);
    let named = hexadecimal(id, 32) && id.bytes().any(|byte| byte != b'0');
    // Later versions may say more behind these.
    (known && named && (version != "00" || parts.next().is_none())).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_named_by_the_standards_header_alone() {
        let id = "4bf92f3577b34da6a3ce929d0e0e4736";
        let read = |text: &str| {
            let headers = HeaderMap::from_iter([("traceparent".parse().unwrap(), text.parse().unwrap())]);
            trace_id(&headers).map(str::to_owned)
        };
        assert_eq!(read(&format!("00-{id}-00f067aa0ba902b7-01")).as_deref(), Some(id));
        assert_eq!(read(&format!("01-{id}-00f067aa0ba902b7-01-more")).as_deref(), Some(id));
        for wrong in [
            String::new(),
            id.to_owned(),
            format!("00-{id}-00f067aa0ba902b7-01-more"),
            format!("ff-{id}-00f067aa0ba902b7-01"),
            format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32)),
            format!("00-{}-00f067aa0ba902b7-01", id.to_uppercase()),
            format!("00-{id}-00f067aa-01"),
        ] {
            assert_eq!(read(&wrong), None, "{wrong}");
        }
        assert_eq!(trace_id(&HeaderMap::new()), None);
    }
}
