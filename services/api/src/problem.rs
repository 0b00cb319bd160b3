//! Errors as clients see them: RFC 9457 documents with a stable code.

use std::error::Error;
use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use retouch_ports::{PortError, PortErrorKind};
use serde::Serialize;
use utoipa::ToSchema;

/// Why a request was not done. Sent as `application/problem+json`.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Problem {
    /// `urn:retouch:problem:` and the code.
    #[serde(rename = "type")]
    kind: String,
    /// The HTTP status in words.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// What happened and what to do, for people.
    detail: String,
    /// The stable code, for programs.
    code: &'static str,
    /// Whether the same request may succeed later.
    retryable: bool,
    /// What is wrong with which part of the request.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldError>,
    #[serde(skip)]
    retry_after_seconds: Option<u32>,
}

/// What is wrong with one part of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// Where it stands: a path such as `jobs[3].instruction`, or the name of a parameter.
    pub pointer: String,
    /// The stable code.
    pub code: String,
    /// What is wrong and what to do.
    pub message: String,
}

/// What handlers answer.
pub type Answer<T> = Result<T, Problem>;

impl Problem {
    /// A problem of this status and stable code.
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            kind: format!("urn:retouch:problem:{code}"),
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            detail: detail.into(),
            code,
            retryable: matches!(status.as_u16(), 429 | 503),
            errors: Vec::new(),
            retry_after_seconds: None,
        }
    }

    /// There is no such thing, or it is another tenant's.
    pub fn not_found(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", format!("there is no such {what}"))
    }

    /// The body or a parameter is not what it should be.
    pub fn invalid(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_request", detail)
    }

    /// One part of the request is not what it should be.
    pub fn invalid_part(
        pointer: impl Into<String>,
        code: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        let error = FieldError { pointer: pointer.into(), code: code.into(), message: message.into() };
        Self::invalid(format!("{}: {}", error.pointer, error.message)).with(error)
    }

    /// What was asked for cannot be done in the present state.
    pub fn conflict(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, detail)
    }

    /// A fault of the server.
    pub fn broken(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail)
    }

    /// With what is wrong with a part.
    pub fn with(mut self, error: FieldError) -> Self {
        self.errors.push(error);
        self
    }

    /// With when to try again.
    pub fn after(mut self, wait: Duration) -> Self {
        self.retryable = true;
        self.retry_after_seconds = Some(u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).max(1));
        self
    }

    /// The stable code.
    pub const fn code(&self) -> &'static str {
        self.code
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        // Strings, numbers and a flag: there is nothing in it that JSON cannot say.
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(wait) = self.retry_after_seconds {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(wait));
        }
        response
    }
}

impl From<FieldError> for Problem {
    fn from(error: FieldError) -> Self {
        let at = if error.pointer.is_empty() { String::new() } else { format!("{}: ", error.pointer) };
        Self::invalid(format!("{at}{}", error.message)).with(error)
    }
}

impl From<PortError> for Problem {
    /// What a backend said about a user's doing is told; what it said about itself is logged.
    fn from(error: PortError) -> Self {
        match error.kind() {
            PortErrorKind::NotFound => Self::new(StatusCode::NOT_FOUND, "not_found", error.to_string()),
            PortErrorKind::Conflict => Self::conflict("conflict", error.to_string()),
            PortErrorKind::Invalid => Self::invalid(with_cause(&error)),
            PortErrorKind::Unavailable | PortErrorKind::Timeout | PortErrorKind::Unauthorized => {
                let error = &error as &dyn Error;
                tracing::warn!(error, "a backend does not answer");
                Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "unavailable",
                    "a backend does not answer; try again",
                )
                .after(Duration::from_secs(2))
            }
            PortErrorKind::Full => {
                tracing::error!(error = &error as &dyn Error, "a backend is full");
                let detail = "there is no room to store it; tell the operator";
                Self::new(StatusCode::INSUFFICIENT_STORAGE, "storage_full", detail)
            }
            PortErrorKind::Incompatible
            | PortErrorKind::Unsupported
            | PortErrorKind::Corrupt
            | PortErrorKind::Internal => {
                tracing::error!(error = &error as &dyn Error, "a request failed");
                let detail = "something is wrong with the server; its log says more under the request's id";
                Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail)
            }
        }
    }
}

fn with_cause(error: &PortError) -> String {
    error.source().map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"))
}
