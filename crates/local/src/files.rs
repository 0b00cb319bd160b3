//! Blobs as files below a root: written beside, brought to the disk, then given their name in one step.

use std::fs::File;
use std::io::SeekFrom;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use retouch_ports::blob::{
    Blob, BlobKey, BlobStore, ByteStream, ContentHash, DownloadAs, Listed, PutOptions, Result, Stored,
};
use retouch_ports::{PortError, PortErrorKind};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, fstat, linkat, openat, renameat, unlinkat};
use rustix::io::Errno;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};

use crate::dir::{Dir, failed};
use crate::temp::{self, TempFile};

/// Bytes that are read at a time.
const CHUNK: usize = 256 * 1024;
/// Folders may be removed by a deletion while a blob is about to get its name there.
const ATTEMPTS: u32 = 16;

/// A blob store in a folder, which processes of one machine may share. Clones share it.
#[derive(Clone)]
pub struct FileBlobStore {
    root: PathBuf,
    folder: Arc<Dir>,
    temp: Arc<Dir>,
}

impl FileBlobStore {
    /// The store in `root`, which is made where it is not there. Removes what killed writers left behind.
    pub async fn open(root: impl Into<PathBuf>) -> Result<Self> {
        let root = root.into();
        blocking(move || {
            let what = || format!("opening the blob store in {}", root.display());
            std::fs::create_dir_all(&root).map_err(|error| failed(what(), error))?;
            let folder = Dir::root(&root).map_err(|error| failed(what(), error))?;
            let temp = folder.make(temp::FOLDER).map_err(|error| failed(what(), error))?;
            temp::sweep(&temp).map_err(|error| failed(what(), error))?;
            Ok(Self { root, folder: Arc::new(folder), temp: Arc::new(temp) })
        })
        .await
    }

    fn failed(&self, verb: &str, key: &str, error: impl Into<std::io::Error>) -> PortError {
        failed(format!("{verb} blob {key} in {}", self.root.display()), error)
    }

    /// The folder of a key, if it is there.
    fn folder_of(&self, key: &BlobKey) -> std::result::Result<Dir, Errno> {
        let folders = key.segments().rev().skip(1).collect::<Vec<_>>();
        let root = self.folder.enter(".")?;
        folders.into_iter().rev().try_fold(root, |dir, name| dir.enter(name))
    }

    fn make_folder_of(&self, key: &BlobKey) -> std::result::Result<Dir, Errno> {
        let folders = key.segments().rev().skip(1).collect::<Vec<_>>();
        let root = self.folder.enter(".")?;
        folders.into_iter().rev().try_fold(root, |dir, name| dir.make(name))
    }

    /// Opens a blob; `None` if it is not there. What is neither file nor folder is damage.
    fn open_blob(&self, key: &BlobKey) -> Result<Option<(File, u64)>> {
        let open = || {
            let folder = self.folder_of(key)?;
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
            openat(folder.file(), file_name(key), flags, Mode::empty())
        };
        let file: File = match open() {
            Ok(fd) => fd.into(),
            Err(Errno::NOENT | Errno::NOTDIR) if !self.leads_through_link(key) => return Ok(None),
            Err(Errno::NOTDIR) => return Err(self.failed("reading", key.as_str(), Errno::LOOP)),
            Err(error) => return Err(self.failed("reading", key.as_str(), error)),
        };
        let stat = fstat(&file).map_err(|error| self.failed("reading", key.as_str(), error))?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Ok(Some((file, u64::try_from(stat.st_size).unwrap_or(0)))),
            FileType::Directory => Ok(None),
            _ => {
                let text = format!("blob {key} in {} is no file", self.root.display());
                Err(PortError::new(PortErrorKind::Corrupt, text))
            }
        }
    }

    /// Opening a link as a folder answers that it is no folder; this tells the two apart.
    fn leads_through_link(&self, key: &BlobKey) -> bool {
        let mut path = self.root.clone();
        key.segments().any(|segment| {
            path.push(segment);
            path.symlink_metadata().is_ok_and(|data| data.file_type().is_symlink())
        })
    }

    /// Gives a finished file its name.
    fn publish(&self, key: &BlobKey, temp: TempFile, if_absent: bool) -> Result<()> {
        let name = file_name(key);
        let place = || {
            let folder = self.make_folder_of(key)?;
            let (from, to) = (temp.folder().file(), folder.file());
            if if_absent {
                linkat(from, temp.name(), to, name, AtFlags::empty())?;
            } else {
                renameat(from, temp.name(), to, name)?;
            }
            folder.sync()
        };
        for _ in 0..ATTEMPTS {
            match place() {
                Ok(()) if if_absent => return Ok(()),
                Ok(()) => {
                    temp.keep();
                    return Ok(());
                }
                Err(Errno::NOENT) => {}
                Err(Errno::EXIST) => {
                    let text = format!("blob {key} is in {} already", self.root.display());
                    return Err(PortError::new(PortErrorKind::Conflict, text));
                }
                Err(Errno::NOTDIR) if self.leads_through_link(key) => {
                    return Err(self.failed("writing", key.as_str(), Errno::LOOP));
                }
                Err(error) => return Err(self.failed("writing", key.as_str(), error)),
            }
        }
        Err(self.failed("writing", key.as_str(), Errno::NOENT))
    }

    fn remove(&self, key: &BlobKey) -> Result<()> {
        let remove = || {
            let folder = self.folder_of(key)?;
            unlinkat(folder.file(), file_name(key), AtFlags::empty())?;
            folder.sync()
        };
        match remove() {
            Ok(()) => self.remove_empty_folders(key),
            Err(Errno::NOENT | Errno::ISDIR) => {}
            Err(Errno::NOTDIR) if !self.leads_through_link(key) => {}
            Err(Errno::NOTDIR) => return Err(self.failed("removing", key.as_str(), Errno::LOOP)),
            Err(error) => return Err(self.failed("removing", key.as_str(), error)),
        }
        Ok(())
    }

    /// Innermost first, up to one that is still used.
    fn remove_empty_folders(&self, key: &BlobKey) {
        let mut folder = key.as_str();
        while let Some((parent, _)) = folder.rsplit_once('/') {
            folder = parent;
            let Ok(as_key) = folder.parse::<BlobKey>() else { return };
            let Ok(above) = self.folder_of(&as_key) else { return };
            if unlinkat(above.file(), file_name(&as_key), AtFlags::REMOVEDIR).is_err() {
                return;
            }
        }
    }
}

fn file_name(key: &BlobKey) -> &str {
    key.as_str().rsplit('/').next().unwrap_or(key.as_str())
}

#[async_trait]
impl BlobStore for FileBlobStore {
    async fn put(&self, key: &BlobKey, mut body: ByteStream, options: &PutOptions) -> Result<Stored> {
        let failed = |error: std::io::Error| self.failed("writing", key.as_str(), error);
        let folder = self.temp.clone();
        let temp = blocking(move || Ok(TempFile::create(&folder))).await?.map_err(failed)?;
        let mut file = tokio::fs::File::from_std(temp.file().try_clone().map_err(failed)?);
        file.set_max_buf_size(CHUNK * 4);
        let (mut size, mut hash) = (0, Sha256::new());
        while let Some(chunk) = body.next().await {
            let chunk = chunk?;
            size += chunk.len() as u64;
            hash.update(&chunk);
            file.write_all(&chunk).await.map_err(failed)?;
        }
        file.flush().await.map_err(failed)?;
        let hash = ContentHash(hash.finalize().into());
        if let Some(expected) = options.expect.filter(|expected| *expected != hash) {
            let text = format!("the bytes for blob {key} have the SHA-256 {hash} and not {expected}");
            return Err(PortError::new(PortErrorKind::Corrupt, text));
        }
        file.sync_all().await.map_err(failed)?;
        let (store, key, if_absent) = (self.clone(), key.clone(), options.if_absent);
        blocking(move || store.publish(&key, temp, if_absent)).await?;
        Ok(Stored { size, hash })
    }

    async fn get(&self, key: &BlobKey, range: Option<Range<u64>>) -> Result<Option<Blob>> {
        let (store, wanted) = (self.clone(), key.clone());
        let Some((file, size)) = blocking(move || store.open_blob(&wanted)).await? else { return Ok(None) };
        let range = match range {
            None => 0..size,
            Some(range) if range.start < range.end && range.start < size => range.start..range.end.min(size),
            Some(range) => {
                let text = format!(
                    "bytes {} to {} of blob {key} cannot be read: it has {size}",
                    range.start, range.end
                );
                return Err(PortError::new(PortErrorKind::Invalid, text));
            }
        };
        let mut file = tokio::fs::File::from_std(file);
        file.seek(SeekFrom::Start(range.start))
            .await
            .map_err(|error| self.failed("reading", key.as_str(), error))?;
        let body = read(self.clone(), key.clone(), file, range.end - range.start);
        Ok(Some(Blob { size, body }))
    }

    async fn size(&self, key: &BlobKey) -> Result<Option<u64>> {
        let (store, key) = (self.clone(), key.clone());
        blocking(move || Ok(store.open_blob(&key)?.map(|(_, size)| size))).await
    }

    async fn delete(&self, key: &BlobKey) -> Result<()> {
        let (store, key) = (self.clone(), key.clone());
        blocking(move || store.remove(&key)).await
    }

    async fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<Listed>> {
        let (root, prefix) = (self.root.clone(), prefix.to_owned());
        let after = after.unwrap_or_default().to_owned();
        blocking(move || {
            let mut found = Vec::new();
            let query = Query { prefix: &prefix, after: &after, limit };
            walk(&root, "", &query, &mut found)
                .map_err(|error| failed(format!("listing blobs in {}", root.display()), error))?;
            Ok(found)
        })
        .await
    }

    async fn presign_get(&self, _: &BlobKey, _: Duration, _: &DownloadAs) -> Result<Option<String>> {
        Ok(None)
    }

    async fn presign_put(&self, _: &BlobKey, _: Duration, _: u64) -> Result<Option<String>> {
        Ok(None)
    }

    async fn check(&self) -> Result<()> {
        let store = self.clone();
        blocking(move || {
            let written = TempFile::create(&store.temp);
            written.map(drop).map_err(|error| store.failed("writing", temp::FOLDER, error))
        })
        .await
    }
}

/// The next `left` bytes of a file. One that ends before is damage, for a blob never changes.
fn read(store: FileBlobStore, key: BlobKey, file: tokio::fs::File, left: u64) -> ByteStream {
    let chunks = stream::try_unfold((file, left), move |(mut file, left)| {
        let (store, key) = (store.clone(), key.clone());
        async move {
            if left == 0 {
                return Ok(None);
            }
            let mut chunk = vec![0; usize::try_from(left).unwrap_or(CHUNK).min(CHUNK)];
            let read = file.read(&mut chunk).await;
            let read = read.map_err(|error| store.failed("reading", key.as_str(), error))?;
            if read == 0 {
                let text = format!("blob {key} in {} ends {left} bytes early", store.root.display());
                return Err(PortError::new(PortErrorKind::Corrupt, text));
            }
            chunk.truncate(read);
            Ok(Some((Bytes::from(chunk), (file, left - read as u64))))
        }
    });
    chunks.boxed()
}

struct Query<'a> {
    prefix: &'a str,
    after: &'a str,
    limit: usize,
}

/// Adds the blobs of a folder, whose keys begin with `base`, in the order of their bytes.
fn walk(folder: &Path, base: &str, query: &Query<'_>, found: &mut Vec<Listed>) -> std::io::Result<()> {
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        // Neither links nor names that are no text can be asked for.
        let kind = entry.file_type()?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        if name.starts_with('.') || !(kind.is_file() || kind.is_dir()) {
            continue;
        }
        // With its slash a folder sorts where its blobs do.
        let name = if kind.is_dir() { name + "/" } else { name };
        entries.push((name, entry.path()));
    }
    entries.sort();
    for (name, path) in entries {
        if found.len() >= query.limit {
            break;
        }
        let key = format!("{base}{name}");
        if key.ends_with('/') {
            let may_match = key.starts_with(query.prefix) || query.prefix.starts_with(&key);
            let behind = key.as_str() > query.after || query.after.starts_with(&key);
            if may_match && behind {
                walk_if_there(&path, &key, query, found)?;
            }
        } else if key.starts_with(query.prefix) && key.as_str() > query.after {
            match path.symlink_metadata() {
                Ok(data) => found.push(Listed { key, size: data.len() }),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(())
}

/// A folder may be removed with its last blob while the walk goes on.
fn walk_if_there(
    folder: &Path,
    base: &str,
    query: &Query<'_>,
    found: &mut Vec<Listed>,
) -> std::io::Result<()> {
    match walk(folder, base, query, found) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Runs what blocks on a thread for it.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => {
            let text = "a file operation ended in a panic";
            Err(PortError::new(PortErrorKind::Internal, text).with_source(error))
        }
    }
}
