//! Writing blobs: in one request where they fit a part, else as a multipart upload.

use aws_sdk_s3::Client;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use retouch_ports::blob::{BlobKey, BlobStore, ByteStream, ContentHash, PutOptions, Result, Stored};
use retouch_ports::{PortError, PortErrorKind};
use sha2::{Digest, Sha256};

use crate::S3BlobStore;
use crate::error::failed;

/// Bytes of the first parts; the protocol wants at least 5 MiB.
const PART: usize = 8 << 20;
/// After so many parts they become twice as large, so that the 10,000 that a blob may have hold 500 GB.
const PARTS_OF_A_SIZE: usize = 2000;

pub(crate) async fn put(
    store: &S3BlobStore,
    key: &BlobKey,
    body: ByteStream,
    options: &PutOptions,
) -> Result<Stored> {
    let mut source = Source { body, rest: BytesMut::new(), size: 0, hash: Sha256::new() };
    let first = source.part(PART).await?;
    if first.len() < PART {
        let stored = source.finish(key, options)?;
        put_whole(store, key, first, options).await?;
        return Ok(stored);
    }
    // Not worth sending if it is refused in the end.
    if options.if_absent && store.size(key).await?.is_some() {
        let text = format!("{} failed: it is there already", store.what("writing", key));
        return Err(PortError::new(PortErrorKind::Conflict, text));
    }
    let mut upload = Upload::begin(store, key, options).await?;
    let outcome = put_parts(&mut upload, source, first, options).await;
    if outcome.is_err() {
        upload.abort().await;
    }
    outcome
}

async fn put_whole(store: &S3BlobStore, key: &BlobKey, bytes: Bytes, options: &PutOptions) -> Result<()> {
    let put = store.client.put_object().bucket(&store.bucket).key(store.object(key));
    let put = put.set_content_type(options.content_type.clone()).body(bytes.into());
    let put = put.set_if_none_match(options.if_absent.then(|| "*".to_owned())).send().await;
    put.map(drop).map_err(|error| failed(store.what("writing", key), error))
}

async fn put_parts(
    upload: &mut Upload,
    mut source: Source,
    first: Bytes,
    options: &PutOptions,
) -> Result<Stored> {
    let mut part = first;
    while !part.is_empty() {
        upload.part(part).await?;
        let size = PART << (upload.parts.len() / PARTS_OF_A_SIZE).min(4);
        part = source.part(size).await?;
    }
    let stored = source.finish(&upload.key, options)?;
    upload.complete(options.if_absent).await?;
    Ok(stored)
}

/// The body, cut into parts, and its account.
struct Source {
    body: ByteStream,
    /// What came beyond the last part.
    rest: BytesMut,
    size: u64,
    hash: Sha256,
}

impl Source {
    /// The next `size` bytes; fewer, or none, at the end.
    async fn part(&mut self, size: usize) -> Result<Bytes> {
        while self.rest.len() < size {
            let Some(chunk) = self.body.next().await else { break };
            let chunk = chunk?;
            self.size += chunk.len() as u64;
            self.hash.update(&chunk);
            self.rest.extend_from_slice(&chunk);
        }
        let size = size.min(self.rest.len());
        Ok(self.rest.split_to(size).freeze())
    }

    /// What was read in all, if it is what was expected.
    fn finish(&self, key: &BlobKey, options: &PutOptions) -> Result<Stored> {
        let hash = ContentHash(self.hash.clone().finalize().into());
        match options.expect {
            Some(expected) if expected != hash => {
                let text = format!("the bytes for blob {key} have the SHA-256 {hash} and not {expected}");
                Err(PortError::new(PortErrorKind::Corrupt, text))
            }
            _ => Ok(Stored { size: self.size, hash }),
        }
    }
}

/// A multipart upload, aborted when it is dropped before its end: its parts would be stored and paid for.
struct Upload {
    client: Client,
    bucket: String,
    object: String,
    key: BlobKey,
    what: String,
    id: String,
    parts: Vec<CompletedPart>,
    ended: bool,
}

impl Upload {
    async fn begin(store: &S3BlobStore, key: &BlobKey, options: &PutOptions) -> Result<Self> {
        let what = store.what("writing", key);
        let object = store.object(key);
        let create = store.client.create_multipart_upload().bucket(&store.bucket).key(&object);
        let created = create.set_content_type(options.content_type.clone()).send().await;
        let created = created.map_err(|error| failed(what.clone(), error))?;
        let Some(id) = created.upload_id else {
            let text = format!("{what} failed: the store gave the upload no id");
            return Err(PortError::new(PortErrorKind::Incompatible, text));
        };
        Ok(Self {
            client: store.client.clone(),
            bucket: store.bucket.clone(),
            object,
            key: key.clone(),
            what,
            id,
            parts: Vec::new(),
            ended: false,
        })
    }

    async fn part(&mut self, bytes: Bytes) -> Result<()> {
        let number = i32::try_from(self.parts.len() + 1).unwrap_or(i32::MAX);
        let part = self.client.upload_part().bucket(&self.bucket).key(&self.object).upload_id(&self.id);
        let sent = part.part_number(number).body(bytes.into()).send().await;
        let sent = sent.map_err(|error| failed(self.what.clone(), error))?;
        self.parts.push(CompletedPart::builder().part_number(number).set_e_tag(sent.e_tag).build());
        Ok(())
    }

    async fn complete(&mut self, if_absent: bool) -> Result<()> {
        let parts = std::mem::take(&mut self.parts);
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts)).build();
        let complete = self.client.complete_multipart_upload().bucket(&self.bucket).key(&self.object);
        let complete = complete.upload_id(&self.id).multipart_upload(parts);
        let done = complete.set_if_none_match(if_absent.then(|| "*".to_owned())).send().await;
        done.map_err(|error| failed(self.what.clone(), error))?;
        self.ended = true;
        Ok(())
    }

    async fn abort(&mut self) {
        self.ended = true;
        abort(&self.client, &self.bucket, &self.object, &self.id).await;
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let (client, bucket) = (self.client.clone(), self.bucket.clone());
        let (object, id) = (self.object.clone(), self.id.clone());
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { abort(&client, &bucket, &object, &id).await });
        }
    }
}

/// The bucket's own rule for uploads that were never completed is the last resort.
async fn abort(client: &Client, bucket: &str, object: &str, id: &str) {
    let abort = client.abort_multipart_upload().bucket(bucket).key(object).upload_id(id).send().await;
    if let Err(error) = abort {
        tracing::warn!(error = &error as &dyn std::error::Error, object, "the parts of a failed upload stay");
    }
}
