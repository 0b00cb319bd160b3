//! Blobs in a bucket of S3 or of a store that speaks its protocol.
//!
//! What fits one part is one request; larger blobs are multipart uploads, aborted when they fail or are given up. New
//! blobs are made with `If-None-Match`, which stores need to honour (S3, MinIO, Ceph and R2 do). Checksums are sent where
//! the protocol requires them alone, since others than S3 refuse what they do not know.

mod error;
mod options;
mod read;
mod upload;

use std::ops::Range;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_s3::Client;
use aws_sdk_s3::presigning::PresigningConfig;
use retouch_ports::blob::{
    Blob, BlobKey, BlobStore, ByteStream, DownloadAs, Listed, PutOptions, Result, Stored,
};
use retouch_ports::{PortError, PortErrorKind};

use crate::error::{failed, is_missing};
pub use crate::options::{Credentials, S3Options};

/// The protocol allows no more.
const LONGEST_PRESIGNED: Duration = Duration::from_secs(7 * 24 * 3600);
/// The most keys of one answer to a listing.
const PAGE: usize = 1000;

/// A blob store below a prefix of a bucket. Clones share the connections.
#[derive(Clone)]
pub struct S3BlobStore {
    client: Client,
    bucket: String,
    /// Empty, or ends with a slash.
    prefix: String,
}

impl S3BlobStore {
    /// The store; nothing is asked of it yet, see [`BlobStore::check`].
    pub fn new(options: S3Options) -> Result<Self> {
        let (bucket, prefix) = options.place()?;
        Ok(Self { client: options.client(), bucket, prefix })
    }

    fn object(&self, key: &BlobKey) -> String {
        format!("{}{key}", self.prefix)
    }

    fn what(&self, verb: &str, key: &BlobKey) -> String {
        format!("{verb} blob {key} in bucket {}", self.bucket)
    }
}

fn presigning(valid: Duration) -> Result<PresigningConfig> {
    let config = PresigningConfig::expires_in(valid).ok().filter(|_| valid <= LONGEST_PRESIGNED);
    config.ok_or_else(|| {
        let text = format!("a URL can be valid for up to 7 days, not {valid:?}");
        PortError::new(PortErrorKind::Invalid, text)
    })
}

#[async_trait]
impl BlobStore for S3BlobStore {
    async fn put(&self, key: &BlobKey, body: ByteStream, options: &PutOptions) -> Result<Stored> {
        upload::put(self, key, body, options).await
    }

    async fn get(&self, key: &BlobKey, range: Option<Range<u64>>) -> Result<Option<Blob>> {
        read::get(self, key, range).await
    }

    async fn size(&self, key: &BlobKey) -> Result<Option<u64>> {
        let head = self.client.head_object().bucket(&self.bucket).key(self.object(key)).send().await;
        match head {
            Ok(head) => Ok(Some(head.content_length().and_then(|size| size.try_into().ok()).unwrap_or(0))),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(failed(self.what("asking for", key), error)),
        }
    }

    async fn delete(&self, key: &BlobKey) -> Result<()> {
        let delete = self.client.delete_object().bucket(&self.bucket).key(self.object(key)).send().await;
        match delete {
            Err(error) if !is_missing(&error) => Err(failed(self.what("removing", key), error)),
            _ => Ok(()),
        }
    }

    async fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<Listed>> {
        let mut found: Vec<Listed> = Vec::new();
        let mut after = after.map(|after| format!("{}{after}", self.prefix));
        while found.len() < limit {
            let page = i32::try_from((limit - found.len()).min(PAGE)).unwrap_or(i32::MAX);
            let list = self.client.list_objects_v2().bucket(&self.bucket).max_keys(page);
            let list = list.prefix(format!("{}{prefix}", self.prefix)).set_start_after(after.take());
            let answer = list.send().await;
            let answer =
                answer.map_err(|error| failed(format!("listing blobs in bucket {}", self.bucket), error))?;
            for object in answer.contents() {
                let Some(name) = object.key() else { continue };
                after = Some(name.to_owned());
                let Some(key) = name.strip_prefix(&self.prefix) else { continue };
                let size = object.size().and_then(|size| size.try_into().ok()).unwrap_or(0);
                found.push(Listed { key: key.to_owned(), size });
            }
            if answer.is_truncated() != Some(true) || after.is_none() {
                break;
            }
        }
        Ok(found)
    }

    async fn presign_get(
        &self,
        key: &BlobKey,
        valid: Duration,
        download: &DownloadAs,
    ) -> Result<Option<String>> {
        let mut get = self.client.get_object().bucket(&self.bucket).key(self.object(key));
        if let Some(name) = &download.file_name {
            get = get.response_content_disposition(disposition(name));
        }
        let get = get.set_response_content_type(download.content_type.clone());
        let request = get.presigned(presigning(valid)?).await;
        let request = request.map_err(|error| failed(self.what("signing a URL for", key), error))?;
        Ok(Some(request.uri().to_owned()))
    }

    async fn presign_put(&self, key: &BlobKey, valid: Duration, size: u64) -> Result<Option<String>> {
        let size = i64::try_from(size).map_err(|error| {
            PortError::new(PortErrorKind::Invalid, format!("no blob has {size} bytes")).with_source(error)
        })?;
        let put = self.client.put_object().bucket(&self.bucket).key(self.object(key)).content_length(size);
        let request = put.presigned(presigning(valid)?).await;
        let request = request.map_err(|error| failed(self.what("signing a URL for", key), error))?;
        Ok(Some(request.uri().to_owned()))
    }

    async fn check(&self) -> Result<()> {
        let head = self.client.head_bucket().bucket(&self.bucket).send().await;
        head.map(drop).map_err(|error| failed(format!("asking for bucket {}", self.bucket), error))
    }
}

/// RFC 6266: a name of plain characters for old clients, and the whole one as RFC 8187 writes it.
fn disposition(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_. ".contains(c) { c } else { '_' };
    let quoted: String = name.chars().map(plain).collect();
    let mut whole = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.".contains(&byte) {
            whole.push(char::from(byte));
        } else {
            whole.push_str(&format!("%{byte:02X}"));
        }
    }
    format!("attachment; filename=\"{quoted}\"; filename*=UTF-8''{whole}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_cannot_break_out_of_its_header() {
        assert_eq!(
            disposition("ảnh\"\r\n.png"),
            "attachment; filename=\"_nh___.png\"; filename*=UTF-8''%E1%BA%A3nh%22%0D%0A.png"
        );
    }
}
