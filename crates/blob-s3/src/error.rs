//! What the store's errors mean to callers.

use std::error::Error as StdError;

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use retouch_ports::{PortError, PortErrorKind};

/// The error of a port for a failed request.
pub(crate) fn failed<E>(what: String, error: SdkError<E, HttpResponse>) -> PortError
where
    E: ProvideErrorMetadata + StdError + Send + Sync + 'static,
{
    let kind = kind(&error);
    let advice = match kind {
        PortErrorKind::Unauthorized => ": check the access key, its permissions and the region",
        PortErrorKind::NotFound => ": there is no such bucket; make it or name another",
        PortErrorKind::Unavailable => ": the store is not reached; check the endpoint",
        PortErrorKind::Conflict => ": it is there already",
        PortErrorKind::Full => ": the bucket is full",
        _ => "",
    };
    PortError::new(kind, format!("{what} failed{advice}")).with_source(error)
}

/// Whether the object is not there, while its bucket is.
pub(crate) fn is_missing<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    let status = error.raw_response().map(|response| response.status().as_u16());
    // The answer to a HEAD has no body, and so no code.
    let code = error.as_service_error().and_then(ProvideErrorMetadata::code);
    status == Some(404) && code != Some("NoSuchBucket")
}

/// Whether the part that was asked for begins behind the end of the object.
pub(crate) fn is_out_of_range<E>(error: &SdkError<E, HttpResponse>) -> bool {
    error.raw_response().is_some_and(|response| response.status().as_u16() == 416)
}

fn kind<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> PortErrorKind {
    let service = match error {
        SdkError::ConstructionFailure(_) => return PortErrorKind::Invalid,
        SdkError::TimeoutError(_) => return PortErrorKind::Timeout,
        SdkError::DispatchFailure(_) | SdkError::ResponseError(_) => return PortErrorKind::Unavailable,
        SdkError::ServiceError(service) => service,
        _ => return PortErrorKind::Internal,
    };
    match service.err().code() {
        Some("QuotaExceeded" | "XMinioStorageFull") => return PortErrorKind::Full,
        Some("PermanentRedirect" | "AuthorizationHeaderMalformed") => return PortErrorKind::Unauthorized,
        _ => {}
    }
    match service.raw().status().as_u16() {
        401 | 403 => PortErrorKind::Unauthorized,
        404 => PortErrorKind::NotFound,
        409 | 412 => PortErrorKind::Conflict,
        507 => PortErrorKind::Full,
        408 | 429 | 500 | 502 | 503 | 504 => PortErrorKind::Unavailable,
        400 | 411 | 413 | 416 => PortErrorKind::Invalid,
        _ => PortErrorKind::Internal,
    }
}
