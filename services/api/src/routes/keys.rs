//! The tenant's keys.

use axum::extract::State;
use axum::http::StatusCode;
use retouch_domain::spec::MAX_TEXT_BYTES;
use retouch_domain::{KeyId, Scope};
use retouch_ports::store::{KeyRecord, NewKey};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::door::Admin;
use crate::extract::{Json, Path, Query};
use crate::key::new_key;
use crate::list::{self, Part};
use crate::moment;
use crate::problem::{Answer, Problem};

pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(create_key, list_keys)).routes(routes!(revoke_key))
}

/// What a key may do; each scope includes those before it.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum KeyScope {
    /// Look.
    Read,
    /// Submit, cancel, retry, delete.
    Write,
    /// Make and revoke keys.
    Admin,
}

impl From<KeyScope> for Scope {
    fn from(scope: KeyScope) -> Self {
        match scope {
            KeyScope::Read => Self::Read,
            KeyScope::Write => Self::Write,
            KeyScope::Admin => Self::Admin,
        }
    }
}

impl From<Scope> for KeyScope {
    fn from(scope: Scope) -> Self {
        match scope {
            Scope::Read => Self::Read,
            Scope::Write => Self::Write,
            Scope::Admin => Self::Admin,
        }
    }
}

/// A key to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct KeyRequest {
    /// What you call it.
    #[schema(max_length = 200)]
    name: String,
    /// What it may do.
    scope: KeyScope,
    /// When it ends (RFC 3339); never if absent.
    #[schema(format = DateTime)]
    expires_at: Option<String>,
}

/// A key as it stands.
#[derive(Debug, Serialize, ToSchema)]
struct KeyObject {
    /// Its id, which is no secret.
    id: String,
    /// What you call it.
    name: String,
    /// What it may do.
    scope: KeyScope,
    /// When it was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    created_at: Option<String>,
    /// When it ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
    /// Since when it is worth nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked_at: Option<String>,
}

impl From<KeyRecord> for KeyObject {
    fn from(key: KeyRecord) -> Self {
        Self {
            id: key.id.to_string(),
            name: key.name,
            scope: key.scope.into(),
            created_at: Some(moment::text(key.created_at)),
            expires_at: key.expires_at.map(moment::text),
            revoked_at: key.revoked_at.map(moment::text),
        }
    }
}

/// A new key. The only answer that holds the key itself.
#[derive(Debug, Serialize, ToSchema)]
struct NewKeyObject {
    /// Its record.
    #[serde(flatten)]
    record: KeyObject,
    /// The key. Keep it: it is not shown again.
    key: String,
}

/// Make a key.
#[utoipa::path(
    post, path = "/v1/keys", tag = "keys", security(("key" = ["admin"])), request_body = KeyRequest,
    responses((status = CREATED, body = NewKeyObject), (status = "4XX", body = Problem))
)]
async fn create_key(
    Admin(tenant): Admin,
    State(app): State<App>,
    Json(request): Json<KeyRequest>,
) -> Answer<(StatusCode, axum::Json<NewKeyObject>)> {
    if request.name.len() > MAX_TEXT_BYTES {
        return Err(Problem::invalid_part(
            "name",
            "too_large",
            format!("use at most {MAX_TEXT_BYTES} bytes"),
        ));
    }
    let expires_at = request.expires_at.as_deref().map(|text| {
        let message = "write a moment as RFC 3339 has it, such as 2030-01-31T12:00:00Z";
        moment::parse(text).ok_or_else(|| Problem::invalid_part("expires_at", "not_a_moment", message))
    });
    let (id, key) = (KeyId::new(app.ids.uuid()), new_key());
    let (scope, digest, expires_at) =
        (request.scope.into(), app.secret.digest(&key), expires_at.transpose()?);
    let record = NewKey { id, tenant, name: request.name, scope, digest, expires_at };
    app.store.add_key(&record).await?;
    let record = KeyObject {
        id: id.to_string(),
        name: record.name,
        scope: request.scope,
        created_at: None,
        expires_at: expires_at.map(moment::text),
        revoked_at: None,
    };
    Ok((StatusCode::CREATED, axum::Json(NewKeyObject { record, key })))
}

/// A part of the list of keys.
#[derive(Debug, Serialize, ToSchema)]
struct KeyList {
    /// The keys in order of their ids.
    keys: Vec<KeyObject>,
    /// What `after` says for the next part; absent with the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// List the keys.
#[utoipa::path(
    get, path = "/v1/keys", tag = "keys", security(("key" = ["admin"])), params(Part),
    responses((status = OK, body = KeyList), (status = "4XX", body = Problem))
)]
async fn list_keys(
    Admin(tenant): Admin,
    State(app): State<App>,
    Query(part): Query<Part>,
) -> Answer<axum::Json<KeyList>> {
    let page = part.page()?;
    let keys = app.store.keys(tenant, page).await?;
    let next = list::next(keys.len(), page.limit, keys.last().map(|key| key.id));
    Ok(axum::Json(KeyList { keys: keys.into_iter().map(KeyObject::from).collect(), next }))
}

/// Revoke a key.
///
/// It is worth nothing from then on, everywhere.
#[utoipa::path(
    delete, path = "/v1/keys/{key}", tag = "keys", security(("key" = ["admin"])),
    params(("key" = String, Path, description = "The id of the key")),
    responses((status = NO_CONTENT), (status = "4XX", body = Problem))
)]
async fn revoke_key(
    Admin(tenant): Admin,
    State(app): State<App>,
    Path(key): Path<KeyId>,
) -> Answer<StatusCode> {
    app.store.revoke_key(tenant, key).await?;
    Ok(StatusCode::NO_CONTENT)
}
