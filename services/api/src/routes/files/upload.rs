//! `POST /v1/files`.

use axum::body::Body;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode};
use retouch_domain::TenantId;
use retouch_imaging::{Format, ImageError};
use retouch_ports::PortErrorKind;
use retouch_ports::blob::PutOptions;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{FileObject, key_of};
use crate::app::App;
use crate::door::Writer;
use crate::extract::{JSONL, says_jsonl};
use crate::problem::{Answer, Problem};
use crate::spool::{Most, Spool};

/// The limit is by kind of file, so it is kept while the body comes.
pub(super) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(upload_file)).layer(DefaultBodyLimit::disable())
}

/// Upload a file: an image (PNG, JPEG, WebP), or a list of jobs as JSONL.
///
/// The body is the file. What it is, is told by its bytes; a list of jobs needs `Content-Type: application/jsonl`. The same
/// file again is answered with 200 and kept once.
#[utoipa::path(
    post, path = "/v1/files", tag = "files", security(("key" = ["write"])),
    request_body(content = String, content_type = "application/octet-stream", description = "The file"),
    responses(
        (status = CREATED, body = FileObject), (status = OK, body = FileObject), (status = "4XX", body = Problem)
    )
)]
async fn upload_file(
    Writer(tenant): Writer,
    State(app): State<App>,
    headers: HeaderMap,
    body: Body,
) -> Answer<(StatusCode, axum::Json<FileObject>)> {
    let options = &app.options;
    let bytes = |head: &[u8]| {
        if Format::sniff(head).is_ok() { options.image.bytes as u64 } else { options.file_bytes }
    };
    let mut spool = Spool::take(body, Most { bytes, lines: None }).await?;
    let mut file = FileObject {
        id: spool.hash.to_string(),
        bytes: spool.size,
        media_type: JSONL,
        width: None,
        height: None,
    };
    match Format::sniff(&spool.head) {
        Ok(_) => check_image(&app, &mut spool, &mut file).await?,
        Err(error) if !says_jsonl(&headers) => return Err(image_refused(&error)),
        Err(_) => {}
    }
    let status = keep(&app, tenant, spool, &file).await?;
    Ok((status, axum::Json(file)))
}

/// Reads the header, away from the threads that serve.
async fn check_image(app: &App, spool: &mut Spool, file: &mut FileObject) -> Answer<()> {
    let (bytes, limits) = (spool.bytes().await?, app.options.image);
    let probed = tokio::task::spawn_blocking(move || retouch_imaging::probe(&bytes, &limits)).await;
    let header = probed.unwrap_or(Err(ImageError::Empty)).map_err(|error| image_refused(&error))?;
    file.media_type = header.format.mime();
    (file.width, file.height) = (Some(header.width), Some(header.height));
    Ok(())
}

fn image_refused(error: &ImageError) -> Problem {
    let status = match error {
        ImageError::FormatUnsupported { .. } => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        _ => StatusCode::UNPROCESSABLE_ENTITY,
    };
    Problem::new(status, error.code(), error.to_string())
}

/// Stores the file where it is not stored already.
async fn keep(app: &App, tenant: TenantId, spool: Spool, file: &FileObject) -> Answer<StatusCode> {
    let key = key_of(tenant, &file.id).ok_or_else(|| Problem::not_found("file"))?;
    if app.blobs.size(&key).await?.is_some() {
        return Ok(StatusCode::OK);
    }
    let options = PutOptions {
        if_absent: true,
        expect: Some(spool.hash),
        content_type: Some(file.media_type.to_owned()),
    };
    match app.blobs.put(&key, spool.stream().await?, &options).await {
        Ok(_) => Ok(StatusCode::CREATED),
        Err(error) if error.kind() == PortErrorKind::Conflict => Ok(StatusCode::OK),
        Err(error) => Err(error.into()),
    }
}
