//! A body on its way: on the disk while it is not known what it is and what its hash is.

use axum::body::Body;
use axum::http::StatusCode;
use futures_util::StreamExt;
use retouch_ports::ByteStream;
use retouch_ports::blob::ContentHash;
use sha2::{Digest, Sha256};

use crate::extract::body_refused;
use crate::problem::{Answer, Problem};
use crate::scratch::Scratch;

/// Enough of a file to tell its format.
const HEAD: usize = 64;

/// A whole body.
pub(crate) struct Spool {
    scratch: Scratch,
    /// Bytes.
    pub(crate) size: u64,
    /// Of all bytes.
    pub(crate) hash: ContentHash,
    /// The first bytes.
    pub(crate) head: Vec<u8>,
}

/// What a body may be.
pub(crate) struct Most<Bytes: Fn(&[u8]) -> u64> {
    /// The most bytes of one that begins so.
    pub(crate) bytes: Bytes,
    /// The most lines.
    pub(crate) lines: Option<u64>,
}

impl Spool {
    /// Takes in a body, at most as much of it as it may have.
    ///
    /// # Errors
    /// 413 `body_too_large` or `too_many_lines` as soon as it is more; 400 if it breaks off; 507 if the disk is full.
    pub(crate) async fn take(body: Body, most: Most<impl Fn(&[u8]) -> u64>) -> Answer<Self> {
        let mut body = body.into_data_stream();
        let mut scratch = Scratch::new().await?;
        let (mut hash, mut size, mut head) = (Sha256::new(), 0_u64, Vec::new());
        let mut lines = Lines::default();
        while let Some(chunk) = body.next().await {
            let chunk = chunk.map_err(|_| body_refused(StatusCode::BAD_REQUEST))?;
            head.extend(chunk.iter().take(HEAD.saturating_sub(head.len())));
            size = size.saturating_add(chunk.len() as u64);
            if size > (most.bytes)(&head) {
                return Err(body_refused(StatusCode::PAYLOAD_TOO_LARGE));
            }
            if let Some(most) = most.lines {
                lines.count(&chunk, most)?;
            }
            hash.update(&chunk);
            scratch.write(&chunk).await?;
        }
        Ok(Self { scratch, size, hash: ContentHash(hash.finalize().into()), head })
    }

    /// All of it at once: for images, which have a size that memory can hold.
    pub(crate) async fn bytes(&mut self) -> Answer<Vec<u8>> {
        Ok(self.scratch.bytes().await?)
    }

    /// All of it, part by part.
    pub(crate) async fn stream(self) -> Answer<ByteStream> {
        Ok(self.scratch.stream().await?)
    }
}

/// Lines that hold something.
#[derive(Default)]
struct Lines {
    count: u64,
    /// The line that is being read counts already.
    counted: bool,
}

impl Lines {
    fn count(&mut self, chunk: &[u8], most: u64) -> Answer<()> {
        for byte in chunk {
            if *byte == b'\n' {
                self.counted = false;
            } else if !self.counted && !byte.is_ascii_whitespace() {
                self.counted = true;
                self.count += 1;
            }
        }
        if self.count <= most {
            return Ok(());
        }
        let detail = format!("there are more than {most} lines: submit them in several batches");
        Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_many_lines", detail))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blank_lines_do_not_count_however_the_bytes_come() {
        let text = b"\n  {}\r\n\n \t\n{}\nx\n\n{}";
        for cut in 1..text.len() {
            let mut lines = Lines::default();
            text.chunks(cut).for_each(|chunk| lines.count(chunk, 4).unwrap());
            assert_eq!(lines.count, 4, "{cut}");
        }
        assert_eq!(Lines::default().count(text, 3).unwrap_err().code(), "too_many_lines");
    }
}
