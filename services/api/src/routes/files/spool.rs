//! A body on its way: on the disk while it is not known what it is and what its hash is.

use std::io::SeekFrom;

use axum::body::{Body, Bytes};
use axum::http::StatusCode;
use futures_util::{StreamExt, stream};
use retouch_imaging::Format;
use retouch_ports::blob::ContentHash;
use retouch_ports::{ByteStream, PortError, PortErrorKind};
use sha2::{Digest, Sha256};
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};

use crate::extract::body_refused;
use crate::options::Options;
use crate::problem::{Answer, Problem};

/// Enough of a file to tell its format.
const HEAD: usize = 64;
const CHUNK: usize = 256 << 10;

/// A whole body in a file without a name, which goes with this.
pub(super) struct Spool {
    file: File,
    /// Bytes.
    pub(super) size: u64,
    /// Of all bytes.
    pub(super) hash: ContentHash,
    /// The first bytes.
    pub(super) head: Vec<u8>,
}

impl Spool {
    /// Takes in a body, at most as much of it as its kind may have.
    pub(super) async fn take(body: Body, options: &Options) -> Answer<Self> {
        let mut body = body.into_data_stream();
        let mut file = File::from_std(aside(tempfile::tempfile).await?);
        let (mut hash, mut size, mut head) = (Sha256::new(), 0_u64, Vec::new());
        while let Some(chunk) = body.next().await {
            let chunk = chunk.map_err(|_| body_refused(StatusCode::BAD_REQUEST))?;
            head.extend(chunk.iter().take(HEAD.saturating_sub(head.len())));
            size = size.saturating_add(chunk.len() as u64);
            if size > most(&head, options) {
                return Err(body_refused(StatusCode::PAYLOAD_TOO_LARGE));
            }
            hash.update(&chunk);
            file.write_all(&chunk).await.map_err(broken)?;
        }
        file.flush().await.map_err(broken)?;
        Ok(Self { file, size, hash: ContentHash(hash.finalize().into()), head })
    }

    /// All of it at once: for images, which have a size that memory can hold.
    pub(super) async fn bytes(&mut self) -> Answer<Vec<u8>> {
        let mut bytes = Vec::with_capacity(usize::try_from(self.size).unwrap_or(0));
        self.file.seek(SeekFrom::Start(0)).await.map_err(broken)?;
        self.file.read_to_end(&mut bytes).await.map_err(broken)?;
        Ok(bytes)
    }

    /// All of it, part by part.
    pub(super) async fn stream(mut self) -> Answer<ByteStream> {
        self.file.seek(SeekFrom::Start(0)).await.map_err(broken)?;
        let parts = stream::try_unfold(self.file, async |mut file| {
            let mut part = vec![0; CHUNK];
            let read = file.read(&mut part).await.map_err(lost)?;
            part.truncate(read);
            Ok((read > 0).then(|| (Bytes::from(part), file)))
        });
        Ok(parts.boxed())
    }
}

fn most(head: &[u8], options: &Options) -> u64 {
    if Format::sniff(head).is_ok() { options.image.bytes as u64 } else { options.file_bytes }
}

async fn aside<T: Send + 'static>(work: fn() -> std::io::Result<T>) -> Answer<T> {
    let done = tokio::task::spawn_blocking(work).await.map_err(std::io::Error::other);
    done.flatten().map_err(broken)
}

fn broken(error: std::io::Error) -> Problem {
    lost(error).into()
}

fn lost(error: std::io::Error) -> PortError {
    let kind = match error.kind() {
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => PortErrorKind::Full,
        _ => PortErrorKind::Internal,
    };
    PortError::new(kind, "keeping a body in the folder for temporary files failed").with_source(error)
}
