//! Bytes that wait on the disk until it is known what becomes of them, in files without a name.

use std::io::SeekFrom;

use axum::body::Bytes;
use futures_util::{StreamExt, stream};
use retouch_ports::{ByteStream, PortError, PortErrorKind};
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};

const CHUNK: usize = 256 << 10;

/// A file in the folder for temporary files, which goes with this.
pub(crate) struct Scratch {
    file: File,
    /// Bytes that are not handed to the file yet.
    pending: Vec<u8>,
}

impl Scratch {
    /// An empty file.
    pub(crate) async fn new() -> Result<Self, PortError> {
        let made = tokio::task::spawn_blocking(tempfile::tempfile).await.map_err(std::io::Error::other);
        Ok(Self { file: File::from_std(made.flatten().map_err(lost)?), pending: Vec::new() })
    }

    /// Adds bytes at the end.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> Result<(), PortError> {
        self.pending.extend_from_slice(bytes);
        if self.pending.len() < CHUNK { Ok(()) } else { self.flush().await }
    }

    /// All bytes at once: for what has a size that memory can hold.
    pub(crate) async fn bytes(&mut self) -> Result<Vec<u8>, PortError> {
        let mut bytes = Vec::new();
        self.rewind().await?;
        self.file.read_to_end(&mut bytes).await.map_err(lost)?;
        Ok(bytes)
    }

    /// All bytes, part by part.
    pub(crate) async fn stream(mut self) -> Result<ByteStream, PortError> {
        self.rewind().await?;
        let parts = stream::try_unfold(self.file, async |mut file| {
            let mut part = vec![0; CHUNK];
            let read = file.read(&mut part).await.map_err(lost)?;
            part.truncate(read);
            Ok((read > 0).then(|| (Bytes::from(part), file)))
        });
        Ok(parts.boxed())
    }

    async fn rewind(&mut self) -> Result<(), PortError> {
        self.flush().await?;
        self.file.seek(SeekFrom::Start(0)).await.map(drop).map_err(lost)
    }

    async fn flush(&mut self) -> Result<(), PortError> {
        self.file.write_all(&self.pending).await.map_err(lost)?;
        self.pending.clear();
        self.file.flush().await.map_err(lost)
    }
}

fn lost(error: std::io::Error) -> PortError {
    let kind = match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => PortErrorKind::Full,
        _ => PortErrorKind::Internal,
    };
    PortError::new(kind, "keeping bytes in the folder for temporary files failed").with_source(error)
}
