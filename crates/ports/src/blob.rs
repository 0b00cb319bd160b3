//! The store of files: images, results, spools, archives. Written whole, never changed in place.

use std::fmt;
use std::ops::Range;
use std::pin::Pin;
use std::str::FromStr;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};

use crate::PortError;

/// The most bytes of a key.
pub const MAX_KEY_BYTES: usize = 512;
/// The most bytes of one segment of a key, so that it is a file name anywhere.
pub const MAX_SEGMENT_BYTES: usize = 128;

/// What every method returns.
pub type Result<T> = std::result::Result<T, PortError>;

/// The bytes of a blob as they come.
pub type ByteStream = Pin<Box<dyn Stream<Item = Result<Bytes>> + Send>>;

/// A stream of bytes that are there already.
pub fn bytes_stream(bytes: impl Into<Bytes>) -> ByteStream {
    let bytes = bytes.into();
    stream::once(async move { Ok(bytes) }).boxed()
}

/// The name of a blob: segments joined by `/`, which no file system and no URL can misread.
///
/// A segment is 1 to [`MAX_SEGMENT_BYTES`] of `A-Z a-z 0-9 _ - . = +`, and does not begin with a dot, so that neither
/// `..` nor an adapter's own files can be named.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BlobKey(String);

/// A text that is no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is not a blob key: use segments of A-Z, a-z, 0-9, '_', '-', '.', '=' and '+' joined by '/', each of 1 to \
     128 bytes and not beginning with a dot, 512 bytes in all"
)]
pub struct InvalidKey {
    /// What was given, cut to 64 characters.
    pub text: String,
}

impl BlobKey {
    /// The key as it is stored.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The segments.
    pub fn segments(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('/')
    }
}

impl FromStr for BlobKey {
    type Err = InvalidKey;

    fn from_str(text: &str) -> std::result::Result<Self, InvalidKey> {
        if text.len() <= MAX_KEY_BYTES && text.split('/').all(is_segment) {
            return Ok(Self(text.to_owned()));
        }
        Err(InvalidKey { text: text.chars().take(64).collect() })
    }
}

fn is_segment(segment: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.=+".contains(&byte);
    (1..=MAX_SEGMENT_BYTES).contains(&segment.len())
        && !segment.starts_with('.')
        && segment.bytes().all(plain)
}

impl fmt::Display for BlobKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The SHA-256 of a blob's bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ContentHash(pub [u8; 32]);

impl fmt::Display for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ContentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{self}")
    }
}

/// How a blob is written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PutOptions {
    /// Fail with `Conflict`, and change nothing, if the key is taken.
    pub if_absent: bool,
    /// Fail with `Corrupt`, and change nothing, if the bytes are others.
    pub expect: Option<ContentHash>,
    /// The media type that a presigned download gets where it asks for none. Files have none.
    pub content_type: Option<String>,
}

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    /// Bytes.
    pub size: u64,
    /// Of all bytes.
    pub hash: ContentHash,
}

/// A blob that is being read.
pub struct Blob {
    /// Bytes of the whole blob, whatever part is read.
    pub size: u64,
    /// The bytes of the part.
    pub body: ByteStream,
}

impl Blob {
    /// All bytes of the part at once.
    pub async fn bytes(mut self) -> Result<Vec<u8>> {
        let mut all = Vec::new();
        while let Some(chunk) = self.body.next().await {
            all.extend_from_slice(&chunk?);
        }
        Ok(all)
    }
}

/// A blob in a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its key as the store has it. Blobs that others put there may have names that are no [`BlobKey`].
    pub key: String,
    /// Bytes.
    pub size: u64,
}

/// What a presigned download says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DownloadAs {
    /// The name that a browser saves it under.
    pub file_name: Option<String>,
    /// Its media type.
    pub content_type: Option<String>,
}

/// A store of blobs, as `Arc<dyn BlobStore>`.
///
/// A blob becomes visible whole and durable, or not at all: also when the writer fails, is killed or gives up the call.
#[async_trait]
pub trait BlobStore: Send + Sync {
    /// Writes a blob of any size as its bytes come. An error of the stream is the error of the call.
    async fn put(&self, key: &BlobKey, body: ByteStream, options: &PutOptions) -> Result<Stored>;

    /// Reads a blob, or the bytes of `range`, cut to the blob's size. `Invalid` if the range begins behind its end.
    /// `None` if there is no such blob.
    async fn get(&self, key: &BlobKey, range: Option<Range<u64>>) -> Result<Option<Blob>>;

    /// The size of a blob, `None` if there is none.
    async fn size(&self, key: &BlobKey) -> Result<Option<u64>>;

    /// Removes a blob, if it is there.
    async fn delete(&self, key: &BlobKey) -> Result<()>;

    /// Up to `limit` blobs whose key begins with `prefix`, in the order of their bytes, behind the key `after`.
    ///
    /// For imports from a folder that a user names. What retouch wrote itself is found through the job store, never by
    /// listing.
    async fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<Listed>>;

    /// A URL that anybody can read the blob from until `valid` has passed; `None` if the store has none to give.
    async fn presign_get(
        &self,
        key: &BlobKey,
        valid: Duration,
        download: &DownloadAs,
    ) -> Result<Option<String>>;

    /// A URL that takes one PUT of exactly `size` bytes until `valid` has passed; `None` if the store has none to give.
    async fn presign_put(&self, key: &BlobKey, valid: Duration, size: u64) -> Result<Option<String>>;

    /// Whether the store answers, for health checks.
    async fn check(&self) -> Result<()>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_cannot_leave_the_store() {
        for good in ["a", "t/0190/results/3/out.png", "x=1/y+z_-.webp", &"s".repeat(128)] {
            assert_eq!(good.parse::<BlobKey>().unwrap().as_str(), good);
        }
        let long = vec!["s".repeat(100); 6].join("/");
        for bad in [
            "", "/", "/a", "a/", "a//b", ".", "..", "a/../b", ".hidden", "a/.b", "a b", "a\\b", "a\0", "é",
            "a:b", &long,
        ] {
            assert!(bad.parse::<BlobKey>().is_err(), "{bad}");
        }
    }
}
