//! Output files: whole or not at all.

use std::fs::Permissions;
use std::io::{Error, ErrorKind, Result, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::{Builder, NamedTempFile};

use crate::failure::Failure;

/// Fails if [`write_atomically`] could not write `path` now: known before minutes of work, not after.
pub(crate) fn check_writable(path: &Path) -> std::result::Result<(), Failure> {
    let check = || -> Result<()> {
        if path.is_dir() {
            return Err(ErrorKind::IsADirectory.into());
        }
        if is_special(path) {
            return Ok(());
        }
        if !parent(path).is_dir() {
            return Err(Error::new(ErrorKind::NotFound, "its folder does not exist"));
        }
        temporary(&target(path)).map(drop)
    };
    check().map_err(|e| Failure::file("write", path, &e))
}

/// Writes a file whole or not at all.
pub(crate) fn write_atomically(path: &Path, bytes: &[u8]) -> std::result::Result<(), Failure> {
    let write = || -> Result<()> {
        if is_special(path) {
            return std::fs::write(path, bytes);
        }
        let target = target(path);
        let mut file = temporary(&target)?;
        file.write_all(bytes)?;
        // Renaming may reach the disk before the data do.
        file.as_file().sync_all()?;
        file.persist(&target).map_err(|e| e.error)?;
        Ok(())
    };
    write().map_err(|e| Failure::file("write", path, &e))
}

/// Pipes and devices are written to, not replaced.
fn is_special(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| !metadata.is_file() && !metadata.is_dir())
}

/// The file itself where `path` is a link to it: the link stays.
fn target(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

/// A file beside `target` with the permissions of an ordinary new file, less what the process masks. Removed when dropped.
fn temporary(target: &Path) -> Result<NamedTempFile> {
    let made = Builder::new().permissions(Permissions::from_mode(0o666)).tempfile_in(parent(target));
    // The error itself names the temporary file, which means nothing to the reader.
    made.map_err(|e| Error::new(e.kind(), format!("its folder takes no new file ({})", e.kind())))
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
