//! What handlers read of a request; what cannot be read is told as a problem.

use axum::body::Bytes;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use serde::de::DeserializeOwned;

use crate::app::App;
use crate::problem::Problem;

/// The media type of a list of jobs, one JSON object a line.
pub const JSONL: &str = "application/jsonl";

/// A JSON body.
pub struct Json<T>(pub T);
/// A JSON body, and its bytes: what a request is recognised by when it comes again.
pub struct Hashed<T>(pub T, pub Bytes);
/// Parameters behind the `?`.
pub struct Query<T>(pub T);
/// An id in the path. What cannot be an id names nothing.
pub struct Path<T>(pub T);

impl<T: DeserializeOwned> FromRequest<App> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let Hashed(value, _) = Hashed::from_request(request, app).await?;
        Ok(Self(value))
    }
}

impl<T: DeserializeOwned> FromRequest<App> for Hashed<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        if !says_json(request.headers()) {
            let detail = "the body must be JSON: send `Content-Type: application/json`";
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "media_type_unsupported", detail));
        }
        let bytes = Bytes::from_request(request, app).await;
        let bytes = bytes.map_err(|rejection| body_refused(rejection.status()))?;
        match axum::Json::<T>::from_bytes(&bytes) {
            Ok(axum::Json(value)) => Ok(Self(value, bytes)),
            Err(JsonRejection::JsonSyntaxError(error)) => {
                Err(Problem::new(StatusCode::BAD_REQUEST, "json_malformed", error.body_text()))
            }
            Err(other) => Err(Problem::invalid(other.body_text())),
        }
    }
}

fn says_json(headers: &HeaderMap) -> bool {
    media_type(headers).eq_ignore_ascii_case("application/json")
}

/// Whether the body is a list of jobs, one JSON object a line.
pub fn says_jsonl(headers: &HeaderMap) -> bool {
    [JSONL, "application/x-ndjson"].iter().any(|known| media_type(headers).eq_ignore_ascii_case(known))
}

/// The media type of the body, without its parameters.
fn media_type(headers: &HeaderMap) -> &str {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    kind.split(';').next().unwrap_or_default().trim()
}

impl<T: DeserializeOwned> FromRequestParts<App> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let read: Result<_, QueryRejection> = axum::extract::Query::<T>::from_request_parts(parts, app).await;
        read.map(|axum::extract::Query(value)| Self(value))
            .map_err(|error| Problem::invalid(error.body_text()))
    }
}

impl<T: std::str::FromStr + Send> FromRequestParts<App> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let read: Result<_, PathRejection> =
            axum::extract::Path::<String>::from_request_parts(parts, app).await;
        let axum::extract::Path(text) = read.map_err(|_| Problem::not_found("thing"))?;
        text.parse().map(Self).map_err(|_| Problem::not_found("thing"))
    }
}

/// A body that could not be read to its end.
pub fn body_refused(status: StatusCode) -> Problem {
    if status == StatusCode::PAYLOAD_TOO_LARGE {
        return Problem::new(status, "body_too_large", "the body is larger than this server accepts");
    }
    Problem::new(StatusCode::BAD_REQUEST, "body_unreadable", "the body broke off before its end")
}
