//! The folder of an installation on one machine: who it is, and that it runs once.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use retouch_api::KeySecret;
use retouch_api::key::new_key;
use retouch_domain::{KeyId, Scope, TenantId};
use retouch_ports::store::NewKey;
use retouch_ports::{Ids, JobStore, SystemIds};
use serde::{Deserialize, Serialize};

use crate::failure::{Blame, Failure, chain};

/// Who the installation is. Readable to its user alone.
const IDENTITY: &str = "server.json";

/// An installation's folder, locked for this process.
pub(super) struct Home {
    folder: PathBuf,
    identity: Identity,
    /// Released with the process, however it ends.
    _lock: File,
}

/// What the file holds.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Identity {
    /// Where it listened last.
    url: String,
    /// Its first key.
    key: String,
    /// What the digests of keys are made with, where the settings say nothing.
    secret: String,
}

impl Home {
    /// Makes the folder if need be, and is the only one in it.
    pub(super) fn open(folder: &Path) -> Result<Self, Failure> {
        fs::create_dir_all(folder).map_err(|error| Failure::file("make", folder, &error))?;
        let path = folder.join("lock");
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let lock = lock.map_err(|error| Failure::file("open", &path, &error))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let message = format!(
                    "another `retouch up` runs in {}: stop it first, or set [up] folder to another one",
                    folder.display()
                );
                return Err(Failure::new(Blame::Installation, "already_up", message));
            }
            Err(TryLockError::Error(error)) => return Err(Failure::file("lock", &path, &error)),
        }
        let path = folder.join(IDENTITY);
        let identity = match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| {
                let message =
                    format!("{} is damaged ({error}); remove it to have a new key made", path.display());
                Failure::new(Blame::File, "identity_invalid", message)
            })?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Identity::default(),
            Err(error) => return Err(Failure::file("read", &path, &error)),
        };
        Ok(Self { folder: folder.to_owned(), identity, _lock: lock })
    }

    /// The secret of the settings, or else its own.
    pub(super) fn secret(&mut self, set: &str) -> String {
        if !set.is_empty() {
            return set.to_owned();
        }
        if self.identity.secret.is_empty() {
            // As hard to guess as a key.
            self.identity.secret = new_key();
        }
        self.identity.secret.clone()
    }

    /// Its first key, made again if it is worth nothing any more.
    pub(super) async fn key(&mut self, store: &dyn JobStore, secret: &KeySecret) -> Result<String, Failure> {
        let failed = |error: retouch_ports::PortError| {
            Failure::new(Blame::Installation, error.kind().code(), chain(&error))
        };
        let known = store.key_in_force(&secret.digest(&self.identity.key)).await.map_err(failed)?;
        if known.is_none() {
            let key = new_key();
            let record = NewKey {
                id: KeyId::new(SystemIds.uuid()),
                tenant: TenantId::new(SystemIds.uuid()),
                name: "made by retouch up".to_owned(),
                scope: Scope::Admin,
                digest: secret.digest(&key),
                expires_at: None,
            };
            // Kept first: what is in the store and nowhere else would be of no use.
            self.identity.key = key;
            self.keep("")?;
            store.add_key(&record).await.map_err(failed)?;
        }
        Ok(self.identity.key.clone())
    }

    /// Writes down who it is and where it listens.
    pub(super) fn keep(&mut self, url: &str) -> Result<(), Failure> {
        url.clone_into(&mut self.identity.url);
        let (path, new) = (self.folder.join(IDENTITY), self.folder.join("server.json.new"));
        let write = || -> std::io::Result<()> {
            let mut file =
                OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&new)?;
            file.write_all(&serde_json::to_vec_pretty(&self.identity)?)?;
            file.sync_all()?;
            fs::rename(&new, &path)
        };
        write().map_err(|error| Failure::file("write", &path, &error))
    }
}
