//! Files that tenants bring: images, and lists of jobs. A file's id is the SHA-256 of its bytes, so that the same file is
//! kept once; the tenant is part of its key, so that nobody else's file can be named.

mod get;
mod upload;

use retouch_domain::TenantId;
use retouch_ports::BlobKey;
use retouch_ports::files::tenant_file;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::problem::{Answer, Problem};

pub(crate) fn router() -> OpenApiRouter<App> {
    upload::router().routes(routes!(get::get_file)).routes(routes!(get::get_file_content))
}

/// A file as it stands.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FileObject {
    /// Its id: the SHA-256 of its bytes in hexadecimal.
    id: String,
    /// Its size in bytes.
    bytes: u64,
    /// What it is, told by its bytes.
    media_type: &'static str,
    /// Width in pixels, of an image as it is stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    width: Option<u32>,
    /// Height in pixels, of an image as it is stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    height: Option<u32>,
}

/// The key of a tenant's file that is there.
pub(crate) async fn must_exist(app: &App, tenant: TenantId, id: &str) -> Answer<BlobKey> {
    let unknown = || {
        let message = "there is no such file: upload it first, and use the `id` that POST /v1/files answered";
        Problem::invalid_part("file", "file_unknown", message)
    };
    let key = key_of(tenant, id).ok_or_else(unknown)?;
    app.blobs.size(&key).await?.map(|_| key).ok_or_else(unknown)
}

/// The key of a tenant's file; `None` if that is no id of a file.
pub(crate) fn key_of(tenant: TenantId, id: &str) -> Option<BlobKey> {
    let hash = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    let named = id.len() == 64 && id.bytes().all(hash);
    named.then(|| tenant_file(tenant, id)).flatten()
}
