//! `GET /v1/files/{file}` and its content.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use retouch_imaging::Format;
use retouch_ports::BlobKey;

use super::{FileObject, key_of};
use crate::app::App;
use crate::content::{self, Described};
use crate::door::Reader;
use crate::extract::{JSONL, Path};
use crate::problem::{Answer, Problem};

/// Enough of a file to tell its format.
const HEAD: u64 = 64;

/// Look at a file.
#[utoipa::path(
    get, path = "/v1/files/{file}", tag = "files", security(("key" = ["read"])),
    params(("file" = String, Path, description = "The id of the file")),
    responses((status = OK, body = FileObject), (status = "4XX", body = Problem))
)]
pub(super) async fn get_file(
    Reader(tenant): Reader,
    State(app): State<App>,
    Path(id): Path<String>,
) -> Answer<axum::Json<FileObject>> {
    let key = key_of(tenant, &id).ok_or_else(|| Problem::not_found("file"))?;
    let bytes = app.blobs.size(&key).await?.ok_or_else(|| Problem::not_found("file"))?;
    let mut file = FileObject { id, bytes, media_type: JSONL, width: None, height: None };
    if let Some(format) = format(&app, &key).await? {
        file.media_type = format.mime();
        let whole = app.blobs.get(&key, None).await?.ok_or_else(|| Problem::not_found("file"))?;
        let header = retouch_imaging::probe(&whole.bytes().await?, &app.options.image).ok();
        (file.width, file.height) = (header.map(|header| header.width), header.map(|header| header.height));
    }
    Ok(axum::Json(file))
}

/// Download a file.
///
/// Ranges and `If-None-Match` are honoured. A store that has addresses to give is redirected to.
#[utoipa::path(
    get, path = "/v1/files/{file}/content", tag = "files", security(("key" = ["read"])),
    params(("file" = String, Path, description = "The id of the file")),
    responses(
        (status = OK, description = "The file", content_type = "application/octet-stream"),
        (status = PARTIAL_CONTENT, description = "The range", content_type = "application/octet-stream"),
        (status = TEMPORARY_REDIRECT, description = "Where the file is, for 15 minutes"),
        (status = NOT_MODIFIED, description = "You have it"), (status = "4XX", body = Problem)
    )
)]
pub(super) async fn get_file_content(
    Reader(tenant): Reader,
    State(app): State<App>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Answer<Response> {
    let key = key_of(tenant, &id).ok_or_else(|| Problem::not_found("file"))?;
    let format = format(&app, &key).await?;
    let media_type = format.map_or(JSONL, Format::mime);
    let extension = media_type.rsplit('/').next().unwrap_or_default();
    let described = Described { media_type, hash: &id, file_name: format!("{id}.{extension}") };
    content::answer(&app, &key, &described, &headers).await
}

/// The format of an image by its first bytes; `None` if it is no image.
async fn format(app: &App, key: &BlobKey) -> Answer<Option<Format>> {
    let head = app.blobs.get(key, Some(0..HEAD)).await?.ok_or_else(|| Problem::not_found("file"))?;
    Ok(Format::sniff(&head.bytes().await?).ok())
}
