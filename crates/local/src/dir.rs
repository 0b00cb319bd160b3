//! Folders below a root, opened one segment after the other, so that no symbolic link leads out of it.

use std::fs::File;
use std::io;
use std::path::Path;

use retouch_ports::{PortError, PortErrorKind};
use rustix::fs::{Mode, OFlags, fsync, mkdirat, open, openat};
use rustix::io::Errno;

/// An open folder.
pub(crate) struct Dir(File);

impl Dir {
    /// The root itself, which may be reached through links.
    pub(crate) fn root(path: &Path) -> Result<Self, Errno> {
        open(path, flags() & !OFlags::NOFOLLOW, Mode::empty()).map(|fd| Self(fd.into()))
    }

    pub(crate) fn file(&self) -> &File {
        &self.0
    }

    /// A folder in this one.
    pub(crate) fn enter(&self, name: &str) -> Result<Self, Errno> {
        openat(&self.0, name, flags(), Mode::empty()).map(|fd| Self(fd.into()))
    }

    /// A folder in this one, made durably where it is not there.
    pub(crate) fn make(&self, name: &str) -> Result<Self, Errno> {
        match self.enter(name) {
            Err(Errno::NOENT) => {}
            other => return other,
        }
        match mkdirat(&self.0, name, Mode::from_raw_mode(0o755)) {
            Ok(()) => fsync(&self.0)?,
            Err(Errno::EXIST) => {}
            Err(error) => return Err(error),
        }
        self.enter(name)
    }

    /// Brings what happened in the folder to the disk.
    pub(crate) fn sync(&self) -> Result<(), Errno> {
        fsync(&self.0)
    }
}

fn flags() -> OFlags {
    OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC
}

/// The error of a port for a failed call of the system.
pub(crate) fn failed(what: String, error: impl Into<io::Error>) -> PortError {
    let error = error.into();
    let (kind, advice) = match Errno::from_io_error(&error) {
        Some(Errno::NOSPC | Errno::DQUOT | Errno::FBIG) => {
            (PortErrorKind::Full, ": the disk or the quota is full; make room")
        }
        Some(Errno::ACCESS | Errno::PERM | Errno::ROFS) => {
            (PortErrorKind::Unauthorized, ": the files belong to somebody else or are read-only")
        }
        Some(Errno::LOOP) => (PortErrorKind::Corrupt, ": there is a symbolic link, which is never followed"),
        Some(Errno::NOTDIR) => (PortErrorKind::Conflict, ": a part of the path is no folder"),
        Some(Errno::ISDIR | Errno::NOTEMPTY) => (PortErrorKind::Conflict, ": there is a folder of that name"),
        Some(Errno::NOENT) => (PortErrorKind::NotFound, ": it is not there"),
        Some(Errno::IO) => (PortErrorKind::Corrupt, ": the disk fails"),
        Some(Errno::MFILE | Errno::NFILE) => (PortErrorKind::Unavailable, ": too many files are open"),
        _ => (PortErrorKind::Internal, ""),
    };
    PortError::new(kind, format!("{what} failed{advice}")).with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_as_such() {
        let kind = |errno: Errno| failed("writing x".to_owned(), errno).kind();
        assert_eq!(kind(Errno::NOSPC), PortErrorKind::Full);
        assert_eq!(kind(Errno::DQUOT), PortErrorKind::Full);
        assert_eq!(kind(Errno::ACCESS), PortErrorKind::Unauthorized);
        let text = failed("writing x".to_owned(), Errno::NOSPC).to_string();
        assert_eq!(text, "writing x failed: the disk or the quota is full; make room");
    }
}
