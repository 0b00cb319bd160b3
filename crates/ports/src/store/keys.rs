//! The keys by which users are known to the API. The store has a digest of each key, never the key.

use std::fmt;

use async_trait::async_trait;
use retouch_domain::{KeyId, Scope, TenantId, Timestamp};

use super::{Page, Result};

/// A keyed digest of a key: what it is found by.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyDigest(pub [u8; 32]);

impl fmt::Debug for KeyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(digest of a key)")
    }
}

/// A key to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewKey {
    /// Made by the caller.
    pub id: KeyId,
    /// Whose it is.
    pub tenant: TenantId,
    /// What its owner calls it; at most [`MAX_TEXT_BYTES`](retouch_domain::spec::MAX_TEXT_BYTES).
    pub name: String,
    /// What it allows.
    pub scope: Scope,
    /// Of the key.
    pub digest: KeyDigest,
    /// It is worth nothing from then on.
    pub expires_at: Option<Timestamp>,
}

/// A key as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRecord {
    /// The key.
    pub id: KeyId,
    /// Whose it is.
    pub tenant: TenantId,
    /// What its owner calls it.
    pub name: String,
    /// What it allows.
    pub scope: Scope,
    /// When it was stored.
    pub created_at: Timestamp,
    /// It is worth nothing from then on.
    pub expires_at: Option<Timestamp>,
    /// Since when it is worth nothing.
    pub revoked_at: Option<Timestamp>,
}

/// For the API's door, and for who makes keys.
#[async_trait]
pub trait Keys: Send + Sync {
    /// Stores a key.
    ///
    /// # Errors
    /// `Conflict` if the id or the digest is another key's; `Invalid`: the name.
    async fn add_key(&self, key: &NewKey) -> Result<()>;

    /// The key of a digest, if it is neither revoked nor, by the database's clock, expired.
    async fn key_in_force(&self, digest: &KeyDigest) -> Result<Option<KeyRecord>>;

    /// A tenant's keys in order of their ids, also those that are worth nothing.
    async fn keys(&self, tenant: TenantId, page: Page<KeyId>) -> Result<Vec<KeyRecord>>;

    /// Makes a key worth nothing from now on; one that is revoked already stays as it is.
    ///
    /// # Errors
    /// `NotFound` if the tenant has no such key.
    async fn revoke_key(&self, tenant: TenantId, key: KeyId) -> Result<()>;
}
