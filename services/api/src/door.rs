//! Who asks, and whether they may.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use retouch_domain::{Scope, TenantId};

use crate::app::App;
use crate::key::PREFIX;
use crate::problem::Problem;
use crate::rate;

/// A caller who may look at what is the tenant's.
pub struct Reader(pub TenantId);
/// A caller who may change what is the tenant's.
pub struct Writer(pub TenantId);
/// A caller who may make and revoke the tenant's keys.
pub struct Admin(pub TenantId);

/// Finds the caller by the key, and whether it allows what is needed.
async fn enter(parts: &Parts, app: &App, needed: Scope) -> Result<TenantId, Problem> {
    let key = bearer(parts).ok_or_else(|| {
        let detail = "a key is needed: send the header `Authorization: Bearer rtk_…`";
        Problem::new(StatusCode::UNAUTHORIZED, "key_missing", detail)
    })?;
    let digest = app.secret.digest(key);
    let Some(record) = app.store.key_in_force(&digest).await? else {
        let detail = "this key is unknown, has expired, or was revoked";
        return Err(Problem::new(StatusCode::UNAUTHORIZED, "key_invalid", detail));
    };
    rate::take(parts, app, record.id).await?;
    if !record.scope.allows(needed) {
        let detail = format!(
            "this key has scope `{}`; a key of scope `{}` is needed",
            record.scope.code(),
            needed.code()
        );
        return Err(Problem::new(StatusCode::FORBIDDEN, "scope_too_narrow", detail));
    }
    Ok(record.tenant)
}

fn bearer(parts: &Parts) -> Option<&str> {
    let value = parts.headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, key) = value.split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer") && key.starts_with(PREFIX)).then_some(key)
}

macro_rules! callers {
    ($($caller:ident needs $scope:ident;)*) => {$(
        impl FromRequestParts<App> for $caller {
            type Rejection = Problem;

            async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
                enter(parts, app, Scope::$scope).await.map(Self)
            }
        }
    )*};
}

callers! {
    Reader needs Read;
    Writer needs Write;
    Admin needs Admin;
}
