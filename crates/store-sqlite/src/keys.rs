//! The keys of the API.

use async_trait::async_trait;
use retouch_domain::{KeyId, Scope, TenantId};
use retouch_ports::store::adapter::{check_key_name, must_be_found};
use retouch_ports::store::{KeyDigest, KeyRecord, Keys, NewKey, Page};

use crate::error::failed;
use crate::fields::{Fields, unreadable};
use crate::reading::after;
use crate::{Result, SqliteStore, sql};

#[async_trait]
impl Keys for SqliteStore {
    async fn add_key(&self, key: &NewKey) -> Result<()> {
        check_key_name(&key.name)?;
        sql!("keys/insert")
            .bind(key.id.to_string())
            .bind(key.tenant.to_string())
            .bind(&key.name)
            .bind(key.scope.code())
            .bind(key.digest.0.to_vec())
            .bind(self.micros())
            .bind(key.expires_at.map(|at| at.micros()))
            .execute(&self.writer)
            .await
            .map_err(failed("storing a key"))?;
        Ok(())
    }

    async fn key_in_force(&self, digest: &KeyDigest) -> Result<Option<KeyRecord>> {
        let statement = sql!("keys/in_force").bind(digest.0.to_vec()).bind(self.micros());
        Ok(self.read("reading a key", statement, key_record).await?.pop())
    }

    async fn keys(&self, tenant: TenantId, page: Page<KeyId>) -> Result<Vec<KeyRecord>> {
        let statement = sql!("keys/of_tenant").bind(tenant.to_string()).bind(after(page)).bind(page.limit);
        self.read("reading keys", statement, key_record).await
    }

    async fn revoke_key(&self, tenant: TenantId, key: KeyId) -> Result<()> {
        let done = sql!("keys/revoke")
            .bind(tenant.to_string())
            .bind(key.to_string())
            .bind(self.micros())
            .execute(&self.writer)
            .await
            .map_err(failed("revoking a key"))?;
        must_be_found(done.rows_affected(), "key", key)
    }
}

fn key_record(row: &Fields<'_>) -> std::result::Result<KeyRecord, sqlx::Error> {
    let scope = Scope::from_code(row.text("scope")?).ok_or_else(|| unreadable("scope", "is no scope"))?;
    Ok(KeyRecord {
        id: row.id("id")?,
        tenant: row.id("tenant")?,
        name: row.get("name")?,
        scope,
        created_at: row.time("created_at")?,
        expires_at: row.time_or_none("expires_at")?,
        revoked_at: row.time_or_none("revoked_at")?,
    })
}
