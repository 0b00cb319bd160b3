//! Files that are being written. Each is locked by its writer, so that what a killed one left is told from what is in use.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{AtFlags, Dir as Entries, Mode, OFlags, fstat, openat, unlinkat};
use rustix::io::Errno;

use crate::dir::Dir;

/// The folder of these files. No key begins with a dot.
pub(crate) const FOLDER: &str = ".tmp";

static NEXT: AtomicU64 = AtomicU64::new(0);

/// A new file, removed when this is dropped before it got its name.
pub(crate) struct TempFile {
    folder: Arc<Dir>,
    name: String,
    file: File,
    kept: bool,
}

impl TempFile {
    pub(crate) fn create(folder: &Arc<Dir>) -> io::Result<Self> {
        loop {
            let name = format!("{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
            let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let file: File = match openat(folder.file(), &name, flags, Mode::from_raw_mode(0o644)) {
                Ok(fd) => fd.into(),
                // Of an earlier process with the same id.
                Err(Errno::EXIST) => continue,
                Err(error) => return Err(error.into()),
            };
            file.lock()?;
            // A process that opens the store may have taken it for left behind before it was locked.
            if fstat(&file)?.st_nlink > 0 {
                return Ok(Self { folder: folder.clone(), name, file, kept: false });
            }
        }
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    pub(crate) fn folder(&self) -> &Dir {
        &self.folder
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// It has its final name now.
    pub(crate) fn keep(mut self) {
        self.kept = true;
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        if !self.kept {
            // What cannot be removed now is swept when the store is opened next.
            let _ = unlinkat(self.folder.file(), &self.name, AtFlags::empty());
        }
    }
}

/// Removes what killed writers left behind.
pub(crate) fn sweep(folder: &Dir) -> io::Result<()> {
    for entry in Entries::read_from(folder.file())? {
        let entry = entry?;
        let name = entry.file_name();
        if name.to_bytes().starts_with(b".") {
            continue;
        }
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file: File = match openat(folder.file(), name, flags, Mode::empty()) {
            Ok(fd) => fd.into(),
            // Renamed or removed meanwhile.
            Err(Errno::NOENT) => continue,
            Err(error) => return Err(error.into()),
        };
        if file.try_lock().is_ok() {
            match unlinkat(folder.file(), name, AtFlags::empty()) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(())
}
